"""Memory as pictures: the plan of a model as a stacked bar, and the parts of a loaded one as blocks."""

from collections.abc import Collection, Mapping
from html import escape

from workbench.loading.memory import MemoryPlan
from workbench.loading.parts import Part
from workbench.manager import LoadedModel, ModelSpec
from workbench.ui.bench import spec_name
from workbench.ui.parts import bytes_text, chip, count_text, seconds_text

_DEVICE_STYLES = 4
"""How many devices the style sheet tells apart; further ones share its last pattern."""


def plan_markup(
    name: str, plan: MemoryPlan, limits: Mapping[str, str] | None = None, slow: Collection[str] = ()
) -> str:
    """A plan: the verdict, the stacked bar, its numbers, and how the other precisions would fare.

    Args:
        limits: how fast each precision could write at most, in words; None or empty: not said.
        slow: precisions that stay far below their limits.
    """
    precision = plan.precision
    verdict = "It fits" if plan.fits else "It does not fit"
    kv_bytes = plan.total_bytes - plan.weights_bytes
    rows = [(precision, plan.total_bytes, plan.fits), *plan.alternatives]
    scale = max(plan.available_bytes, *(total for _, total, _ in rows), 1)
    return (
        f'<section class="plan {"fits" if plan.fits else "too-big"}" aria-label="Memory plan">'
        f"<h3>{escape(name)} <span>{escape(precision)}, {count_text(plan.parameters)} parameters</span></h3>"
        f'<p class="verdict"><b>{verdict}.</b> {escape(plan.advice)}</p>'
        f"{_stacked_bar(plan, kv_bytes, scale)}"
        f'<dl class="plan-numbers">{_number("weights", "Weights", bytes_text(plan.weights_bytes))}'
        f"{_number('cache', 'KV cache', _cache_text(plan, kv_bytes))}"
        f"{_number('free', 'Available', bytes_text(plan.available_bytes))}</dl>"
        f"{_comparison(rows, plan, scale, limits or {}, slow)}</section>"
    )


def _stacked_bar(plan: MemoryPlan, kv_bytes: int, scale: int) -> str:
    share = 100 / scale
    over = max(0, plan.total_bytes - plan.available_bytes)
    words = f"{bytes_text(plan.total_bytes)} needed of {bytes_text(plan.available_bytes)} available"
    return (
        f'<div class="bar" role="img" aria-label="{words}">'
        f'<i class="weights" style="width:{plan.weights_bytes * share:.2f}%"></i>'
        f'<i class="cache" style="width:{kv_bytes * share:.2f}%"></i>'
        f'<i class="over" style="left:{plan.available_bytes * share:.2f}%;width:{over * share:.2f}%"></i>'
        f'<i class="limit" style="left:{plan.available_bytes * share:.2f}%"></i></div>'
    )


def _number(kind: str, label: str, value: str) -> str:
    return f'<div><dt><i class="key {kind}"></i>{label}</dt><dd>{value}</dd></div>'


def _cache_text(plan: MemoryPlan, kv_bytes: int) -> str:
    streams = "1 stream" if plan.streams == 1 else f"{plan.streams} streams"
    return f"{bytes_text(kv_bytes)} <small>{streams}, {plan.context:,} tokens each</small>"


def _comparison(
    rows: list[tuple[str, int, bool]], plan: MemoryPlan, scale: int, limits: Mapping[str, str], slow: Collection[str]
) -> str:
    """One thin bar a precision, on the same scale as the plan's, with its limit where that is known."""
    below = [name for name, _, _ in rows if name in slow]
    lines = "".join(
        f'<li class="{"fits" if fits else "too-big"}"><span class="row-name">{escape(name)}</span>'
        f'<span class="bar thin"><i class="weights" style="width:{100 * total / scale:.2f}%"></i>'
        f'<i class="limit" style="left:{100 * plan.available_bytes / scale:.2f}%"></i></span>'
        f'<span class="row-size">{bytes_text(total)}</span>'
        f'<span class="row-fit">{"fits" if fits else "too big"}</span>{_row_limit(name, limits)}</li>'
        for name, total, fits in rows
    )
    note = (
        f'<p class="row-note">≤ is what the memory allows for one text of {plan.context:,} tokens: each token reads '
        f"all weights.{_exception(below)}</p>"
    )
    title = "Every precision, with the same streams and context"
    return f'<h4>{title}</h4><ul class="precisions{" limited" if limits else ""}">{lines}</ul>{note if limits else ""}'


def _exception(below: list[str]) -> str:
    if not below:
        return " Fewer bytes are faster."
    return f" Fewer bytes are faster, except for {' and '.join(below)}: computing it here takes longer than reading it."


def _row_limit(name: str, limits: Mapping[str, str]) -> str:
    return f'<span class="row-limit">≤ {limits[name]}</span>' if name in limits else ""


def cards_markup(models: list[LoadedModel], speeds: Mapping[ModelSpec, str] | None = None, keys: bool = True) -> str:
    """A card for each loaded model, with the button that unloads it; what to do when there is none.

    Args:
        speeds: markup that says how fast a model is.
        keys: whether the visitor may unload and measure; without, the cards are to be read only.
    """
    if not models:
        return '<p class="empty">No model is loaded yet. Plan and load one below; it then serves every tab.</p>'
    cards = "".join(_card(model, (speeds or {}).get(model.spec, "")) for model in models)
    return f'<div class="cards{"" if keys else " read-only"}">{cards}</div>'


def _card(model: LoadedModel, speed: str) -> str:
    if model.served_by:
        return _remote_card(model)
    devices = sorted({str(part.device) for part in model.parts})
    facts = (
        ("Parameters", count_text(model.parameters)),
        ("Memory", bytes_text(model.weights_bytes)),
        ("Loaded in", seconds_text(model.seconds)),
        ("In use by", f"{model.leases} {'request' if model.leases == 1 else 'requests'}"),
    )
    numbers = "".join(f"<div><dt>{label}</dt><dd>{escape(value)}</dd></div>" for label, value in facts)
    precisions_held = dict.fromkeys(filter(None, (model.spec.precision, *(part.dtype for part in model.parts))))
    chips = "".join(chip(name) for name in precisions_held) + "".join(chip(device, "device") for device in devices)
    return (
        f"{_card_head(model, chips)}"
        f'<dl class="card-facts">{numbers}</dl>{_blocks(model.parts, devices)}{speed}'
        f"{_report(model)}<details><summary>Each part: parameters, bytes, dtype, device</summary>"
        f"{_table(model.parts)}</details></article>"
    )


def _remote_card(model: LoadedModel) -> str:
    """A model that a server elsewhere has: nothing of it is here but the connection."""
    return (
        f'{_card_head(model, chip("served elsewhere", "device"))}<p class="report">Its server, '
        f"{escape(model.served_by)}, decides how it is held and how fast it is. It takes no memory here.</p></article>"
    )


def _card_head(model: LoadedModel, chips: str) -> str:
    name = escape(spec_name(model.spec))
    return (
        f'<article class="card" aria-label="{name}">'
        f'<div class="card-head"><h3>{escape(model.spec.checkpoint)}</h3>{chips}'
        f'<button type="button" class="unload" data-name="{name}" aria-label="Unload {name}">Unload</button></div>'
    )


def _blocks(parts: list[Part], devices: list[str]) -> str:
    """The parts side by side, each as wide as its bytes and patterned by its device."""
    styles = {device: f"device-{min(place, _DEVICE_STYLES - 1)}" for place, device in enumerate(devices)}
    blocks = "".join(
        f'<i class="{styles[str(part.device)]}" style="flex-grow:{max(part.bytes, 1)}" '
        f'title="{escape(part.name)}: {bytes_text(part.bytes)} on {escape(str(part.device))}"></i>'
        for part in parts
    )
    words = f"The parts by size: {len(parts)} on {escape(', '.join(devices))}"
    keys = "".join(_device(device, styles[device], parts) for device in devices)
    return f'<div class="blocks" role="img" aria-label="{words}">{blocks}</div><ul class="block-keys">{keys}</ul>'


def _device(device: str, style: str, parts: list[Part]) -> str:
    """A device, how its blocks look, and what lies on it."""
    own = [part for part in parts if str(part.device) == device]
    held = f"{len(own)} {'part' if len(own) == 1 else 'parts'}, {bytes_text(sum(part.bytes for part in own))}"
    return f'<li><i class="{style}"></i><b>{escape(device)}</b> {held}</li>'


def _report(model: LoadedModel) -> str:
    text = str(model.report or "").strip()
    return f'<p class="report">{escape(text)}</p>' if text else ""


def _table(parts: list[Part]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(part.name)}</th><td>{part.parameters:,}</td><td>{bytes_text(part.bytes)}</td>"
        f"<td>{escape(str(part.dtype))}</td><td>{escape(str(part.device))}</td></tr>"
        for part in parts
    )
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Part", "Parameters", "Bytes", "dtype", "Device"))
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
