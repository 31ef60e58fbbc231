"""The snippets of the tabs that ask about one text: Generate, Classify and Answer."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from textwrap import indent
from typing import Any

from workbench.engine.jobs import Sampling
from workbench.evals.methods.labels import LabelLikelihood
from workbench.manager import ModelSpec
from workbench.text.requests import ExtractSpan, Generate
from workbench.ui.classify.class_methods import Asked
from workbench.ui.links.snippets import (
    Call,
    Snippet,
    changed,
    code,
    command,
    file_command,
    model_code,
    model_options,
    served_model,
    snippets,
)

_MANAGER = "from workbench.manager import ModelManager, ModelSpec"
_HEADS = "from workbench.settings import read_settings"
_GENERATE_OPTIONS = {"num_beams": "--beams"}
_SHOTS = "shots.csv"
_CARD_KEY = "card.key"


@dataclass(frozen=True)
class AskedSpan:
    """A question as a side is asked it."""

    request: ExtractSpan
    """Without the head."""
    head: str | None = None
    """A trained head by its name; None: the language model."""
    threshold: float = 0.0


def generate_snippets(asked: Sequence[tuple[ModelSpec, Generate]], url: str) -> list[Snippet]:
    """How the same texts are written from elsewhere; a side each."""
    requests = [(spec, replace(request, alternatives=0, forced=())) for spec, request in asked]
    shaped = any(request.sampling != Sampling() for _, request in requests)
    imports = ["from workbench.engine.jobs import Sampling"] if shaped else []
    imports += [_MANAGER, "from workbench.text.requests import Generate"]
    bodies = [(spec, [f"print(model.generate({code(request)}).text)"]) for spec, request in requests]
    commands = [command("generate", model_options(spec) + _generate_options(request)) for spec, request in requests]
    calls = [_generate_call(spec, request) for spec, request in requests]
    return snippets(_python(imports, bodies), commands, calls, url)


def _generate_options(request: Generate) -> list[tuple[str, Any]]:
    plain = asdict(replace(request, stop=(), banned=()))
    shaping = changed(plain.pop("sampling"), asdict(Sampling()))
    others = changed(plain, asdict(Generate("")))
    for name in ("prompt", "max_new_tokens"):
        others.pop(name, None)
    lookup = [("--no-lookup", True)] if others.pop("lookup", True) is False else []
    named = [
        (_GENERATE_OPTIONS.get(name, f"--{name.replace('_', '-')}"), value)
        for name, value in (shaping | others).items()
    ]
    texts = [("--stop", text) for text in request.stop] + [("--ban", text) for text in request.banned]
    return [("--prompt", request.prompt), ("--max-new-tokens", request.max_new_tokens), *named, *texts, *lookup]


def _generate_call(spec: ModelSpec, request: Generate) -> Call:
    model, note = served_model(spec)
    plain = asdict(request)
    shaping = changed(plain.pop("sampling"), asdict(Sampling()))
    temperature = shaping.pop("temperature", Sampling().temperature)
    given = {"prompt": request.prompt, "max_new_tokens": request.max_new_tokens, "temperature": temperature}
    given |= {"seed": request.seed} if request.seed is not None else {}
    given |= {"stop": list(request.stop)} if request.stop else {}
    others = changed(
        {name: value for name, value in plain.items() if name not in (*given, "stop")}, asdict(Generate(""))
    )
    settings = shaping | {name: value for name, value in others.items() if name != "seed"}
    return Call("generate", given | model | ({"settings": settings} if settings else {}), note)


def classify_snippets(asked: Sequence[tuple[ModelSpec, Asked]], text: str, url: str) -> list[Snippet]:
    """How the same text is classified from elsewhere; a side each."""
    by_head = any(one.head is not None for _, one in asked)
    imports = ["from workbench.evals.asking import ask_one"]
    imports += ["from workbench.evals.methods.head import HeadMethod"] if by_head else []
    by_labels = any(one.head is None for _, one in asked)
    named = "LabelLikelihood, TextExample" if by_labels else "TextExample"
    imports += [f"from workbench.evals.methods.labels import {named}", _MANAGER]
    imports += [_HEADS] if by_head else []
    bodies = [(spec, _classify_lines(spec, one)) for spec, one in asked]
    first = [f"text = {text!r}"]
    commands = [_classify_command(spec, one, text) for spec, one in asked]
    calls = [_classify_call(spec, one, text) for spec, one in asked]
    return snippets(_python(imports, bodies, first, by_head), commands, calls, url)


def _classify_lines(spec: ModelSpec, asked: Asked) -> list[str]:
    if asked.head is None:
        method = code(_likelihood(asked))
        lines = [f"method = {method}.prepared(model, {[*asked.sample_texts]!r} + [text], {asked.seed})"]
        if not asked.sample_texts:
            lines = [f"method = {method}.prepared(model, [text], {asked.seed})"]
    else:
        lines = [
            f"card = manager.use_head({model_code(spec)}, {asked.head!r}, 'classify')",
            f"method = HeadMethod(card.key, card.labels, card.problem, threshold={asked.threshold!r})",
        ]
    return [*lines, "print(ask_one(model, method, TextExample('1', text)))"]


def _likelihood(asked: Asked) -> LabelLikelihood:
    return LabelLikelihood(
        labels=asked.labels, template=asked.template, shots=asked.shots, normalization=asked.normalization,
        domain_premise=asked.domain_premise, calibration=asked.calibration,
    )  # fmt: skip


def _classify_command(spec: ModelSpec, asked: Asked, text: str) -> str:
    if asked.head is not None:
        own = [("--head", asked.head), ("--threshold", asked.threshold)]
        return command("classify", [*model_options(spec), ("--text", text), *own])
    options = model_options(spec) + [
        ("--text", text), ("--labels", _csv([asked.labels]).strip()), ("--template", asked.template),
        ("--shots", _SHOTS if asked.shots else None), ("--normalization", asked.normalization),
        ("--calibration", asked.calibration),
    ]  # fmt: skip
    before = [file_command(_SHOTS, _csv([("text", "label"), *asked.shots]))] if asked.shots else []
    if asked.domain_premise is not None:
        before.insert(0, "# The command has no option for what PMI puts in the text's place.")
    return "\n".join([*before, command("classify", options)])


def _classify_call(spec: ModelSpec, asked: Asked, text: str) -> Call:
    model, note = served_model(spec)
    if asked.head is not None:
        own = {"head": asked.head, "settings": {"threshold": asked.threshold}}
        return Call("classify", {"text": text, **own, **model}, note)
    names = ("normalization", "domain_premise", "calibration", "seed")
    settings = changed({name: getattr(asked, name) for name in names}, asdict(Asked(labels=("a", "b"))))
    settings |= {"shots": [list(shot) for shot in asked.shots]} if asked.shots else {}
    given = {"text": text, "labels": list(asked.labels), "template": asked.template, **model}
    return Call("classify", given | ({"settings": settings} if settings else {}), note)


def answer_snippets(asked: Sequence[tuple[ModelSpec, AskedSpan]], url: str) -> list[Snippet]:
    """How the same question is answered from elsewhere; a side each."""
    by_head = any(one.head is not None for _, one in asked)
    imports = [_MANAGER, *([_HEADS] if by_head else []), "from workbench.text.requests import ExtractSpan"]
    bodies = [(spec, _answer_lines(spec, one)) for spec, one in asked]
    commands = [_answer_command(spec, one) for spec, one in asked]
    calls = [_answer_call(spec, one) for spec, one in asked]
    return snippets(_python(imports, bodies, (), by_head), commands, calls, url)


def _answer_lines(spec: ModelSpec, asked: AskedSpan) -> list[str]:
    request, lines = code(asked.request), []
    if asked.head is not None:
        lines = [f"card = manager.use_head({model_code(spec)}, {asked.head!r}, 'answer')"]
        request = code(replace(asked.request, head=_CARD_KEY)).replace(repr(_CARD_KEY), _CARD_KEY)
    return [*lines, f"print(model.extract({request}).best({asked.threshold!r}))"]


def _answer_command(spec: ModelSpec, asked: AskedSpan) -> str:
    request = asked.request
    options = model_options(spec) + [("--question", request.question), ("--context", request.context)]
    options += [("--head", asked.head)] if asked.head else [("--template", request.template)]
    options += [(f"--{name.replace('_', '-')}", getattr(request, name)) for name in _WINDOWS]
    options += [("--threshold", asked.threshold), ("--shots", _SHOTS if request.shots else None)]
    columns = ("context", "question", "answer")
    before = [file_command(_SHOTS, _csv([columns, *request.shots]))] if request.shots else []
    if request.unanswerable != ExtractSpan.unanswerable:
        before.insert(0, "# The command has no option for the words for no answer.")
    return "\n".join([*before, command("answer", options)])


_WINDOWS = ("n_best", "max_answer_tokens", "window_tokens", "doc_stride")


def _answer_call(spec: ModelSpec, asked: AskedSpan) -> Call:
    model, note = served_model(spec)
    request = asked.request
    settings = {name: getattr(request, name) for name in _WINDOWS} | {"threshold": asked.threshold}
    texts = {name: getattr(request, name) for name in ("template", "unanswerable")}
    settings |= {name: text for name, text in texts.items() if text != getattr(ExtractSpan, name)}
    settings |= {"shots": [list(shot) for shot in request.shots]} if request.shots else {}
    given = {"question": request.question, "context": request.context}
    given |= {"head": asked.head} if asked.head else {}
    return Call("answer", given | model | {"settings": settings}, note)


def _python(
    imports: Sequence[str],
    bodies: Sequence[tuple[ModelSpec, Sequence[str]]],
    first: Sequence[str] = (),
    with_heads: bool = False,
) -> str:
    """A script that leases each model and does something with it."""
    given = "heads_folder=read_settings().heads_folder" if with_heads else ""
    lines = [*first, f"manager = ModelManager({given})"]
    for spec, body in bodies:
        lines += [f"with manager.lease({model_code(spec)}) as model:", *(indent(line, "    ") for line in body)]
    return "\n".join([*imports, "", *lines, "manager.close()"])


def _csv(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
