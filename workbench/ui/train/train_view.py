"""Training as pictures: what each method would need, how far a run is, its curves, and what came out."""

from html import escape
from typing import Any

from workbench.loading.heads import HeadCard
from workbench.training.outcome import doubt
from workbench.training.plan import TrainPlan
from workbench.training.progress import FineTuneProgress
from workbench.ui.charts.curves import curves_markup
from workbench.ui.head_choice import card_markup
from workbench.ui.parts import bytes_text, count_text, notice, progress_bar, seconds_text
from workbench.ui.train.train_form import METHODS

PARTS = {
    "weights": "Weights",
    "gradient": "Gradients",
    "optimizer": "Optimizer",
    "activation": "Activations",
    "features": "Features",
}
"""What a plan adds up, and what the page calls it."""
_PHASES = {
    "loading": "Loading the model",
    "features": "Reading the texts",
    "training": "Training",
    "validating": "Validating",
    "saving": "Saving",
}
MOST_POINTS = 300
"""Of a curve: a longer one is thinned, so that an update stays small."""


def plan_bars(plan: TrainPlan) -> str:
    """The plans of all methods on one scale: the picked one in its parts, the others whole."""
    rows = {plan.method: (plan.total_bytes, plan.fits)} | {name: (size, fits) for name, size, fits in plan.alternatives}
    scale = max(plan.available_bytes, *(size for size, _ in rows.values()), 1)
    bars = "".join(_row(plan, name, *rows[name], scale) for name in METHODS if name in rows)
    numbers = [(part, label, getattr(plan, f"{part}_bytes")) for part, label in PARTS.items()]
    keys = "".join(
        f'<div><dt><i class="key {part}"></i>{label}</dt><dd>{bytes_text(size)}</dd></div>'
        for part, label, size in (*numbers, ("free", "Free", plan.available_bytes))
    )
    verdict = "It fits" if plan.fits else "It does not fit"
    learn = f"{METHODS[plan.method][0]}, {count_text(plan.trained_parameters)} parameters learn"
    return (
        f'<section class="plan train-plan {"fits" if plan.fits else "too-big"}" aria-label="Memory plan">'
        f"<h3>What training needs <span>{escape(learn)}</span></h3>"
        f'<p class="verdict"><b>{verdict}.</b> {escape(plan.advice)}</p><ul class="precisions">{bars}</ul>'
        f'<dl class="plan-numbers">{keys}</dl></section>'
    )


def _row(plan: TrainPlan, method: str, total: int, fits: bool, scale: int) -> str:
    picked = method == plan.method
    sizes = {part: getattr(plan, f"{part}_bytes") for part in PARTS} if picked else {"total": total}
    pieces = "".join(f'<i class="{part}" style="width:{100 * size / scale:.2f}%"></i>' for part, size in sizes.items())
    label = f"{METHODS[method][0]}: {bytes_text(total)} of {bytes_text(plan.available_bytes)} free"
    return (
        f'<li class="{"fits" if fits else "too-big"}{" picked" if picked else ""}">'
        f'<span class="row-name">{METHODS[method][0]}</span>'
        f'<span class="bar thin" role="img" aria-label="{escape(label)}">{pieces}'
        f'<i class="limit" style="left:{100 * plan.available_bytes / scale:.2f}%"></i></span>'
        f'<span class="row-size">{bytes_text(total)}</span>'
        f'<span class="row-fit">{"fits" if fits else "too big"}</span></li>'
    )


def progress_line(progress: FineTuneProgress | None, stopping: bool = False) -> str:
    """How far a run is: a bar for its phase, and the figures beside it."""
    if progress is None:
        return progress_bar("Preparing the data", None)
    phase = _PHASES.get(progress.phase, progress.phase.capitalize())
    words = f"{phase}: {progress.step:,} of {progress.steps:,}" if progress.steps else phase
    if progress.seconds_left is not None:
        words += f", about {seconds_text(max(0.0, progress.seconds_left))} left"
    if stopping:
        words = f"Stopping; the best so far is kept. {words}"
    share = progress.step / progress.steps if progress.steps else None
    return progress_bar(words, share) + _figures(progress)


def _figures(progress: FineTuneProgress) -> str:
    best = {name: value for name, value in (progress.best or {}).items() if name not in ("step", "loss")}
    name, value = next(iter(best.items()), ("Best so far", None))
    figures = (
        ("Epoch", f"{progress.epoch:.2f}"),
        ("Loss", "–" if progress.loss is None else f"{progress.loss:.4f}"),
        (f"Best {name.replace('_', ' ')}" if best else name, "–" if value is None else f"{value:.4g}"),
        ("Speed", "–" if not progress.examples_per_second else f"{progress.examples_per_second:,.0f} examples/s"),
        ("Time", seconds_text(progress.seconds)),
    )
    cells = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(text)}</dd></div>" for label, text in figures)
    return f'<dl class="figures">{cells}</dl>'


class Curves:
    """What the two charts show of a run: the losses, and the validation metrics."""

    def __init__(self) -> None:
        self._losses: list[tuple[float, float]] = []
        self._steps = 1
        self._validations: dict[str, list[tuple[float, float]]] = {}

    def add(self, progress: FineTuneProgress) -> None:
        """One more moment of the run."""
        if progress.phase == "training":
            self._steps = max(1, progress.steps)
        if progress.phase == "training" and progress.loss is not None:
            self._losses.append((progress.step, progress.loss))
        for name, value in (progress.validation or {}).items():
            if name != "step":
                self._validations.setdefault(name, []).append((progress.step, value))

    def markup(self) -> str:
        """Both charts."""
        losses = {"training": _thinned(self._losses), "validation": self._validations.get("loss", [])}
        metrics = {name.replace("_", " "): points for name, points in self._validations.items() if name != "loss"}
        return (
            '<div class="curve-pair">'
            + curves_markup("Loss", "Steps", losses, (0, self._steps))
            + curves_markup("Validation", "Steps", metrics, (0, self._steps))
            + "</div>"
        )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A long curve with the mean of neighbours in their place."""
    size = -(-len(points) // MOST_POINTS) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def trained_markup(card: HeadCard, seconds: float | None, stopped: bool) -> str:
    """The head that was written: where to use it, and its card."""
    tab = "Classify" if card.kind == "classify" else "Answer"
    use = f"Pick “{card.name}” as the method on the {tab} tab; it shares the model that is loaded there."
    if card.method == "full":
        use = f"It is a whole model: load the folder {card.folder} on the Models tab, then pick it on the {tab} tab."
    kept = "The training was stopped; the best head so far is kept. " if stopped else ""
    took = "" if seconds is None else f"It took {seconds_text(seconds)}. "
    words = " ".join(filter(None, ((kept + kept_words(card) + took).strip(), doubt(card), use)))
    return notice("good", f"The head {card.name} is ready", words) + card_markup(card)


def kept_words(card: HeadCard) -> str:
    """Which of the heads along the way was kept, and by which validation figure; empty without validation."""
    if not card.metrics:
        return ""
    if "best_step" in card.settings:
        best = "highest F1" if card.kind == "answer" else "highest macro-F1"
        best = "lowest squared error" if card.problem == "regression" else best
        return f"Kept: step {card.settings['best_step']}, the {best} in validation. "
    if "strength" in card.settings:
        return f"Kept: penalty {card.settings['strength']:.3g}, the lowest validation loss. "
    return ""


def data_facts(facts: dict[str, Any]) -> str:
    """What was read of an uploaded file, as a short list."""
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(str(fact))}</dd></div>" for name, fact in facts.items())
    return f'<dl class="card-facts data-facts">{cells}</dl>'
