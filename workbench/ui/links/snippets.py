"""How the same is asked from elsewhere: ready to paste into Python, a shell, or a client of the page's endpoints."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from textwrap import indent
from typing import Any

from workbench.manager import ModelSpec

_LONG = 80
"""Characters of a call's arguments beyond which each gets a line of its own."""


@dataclass(frozen=True)
class Snippet:
    """One way to ask, and its text."""

    name: str
    text: str


@dataclass(frozen=True)
class Call:
    """A call of one of the page's endpoints."""

    endpoint: str
    arguments: dict[str, Any]
    note: str = ""
    """What of the page the endpoint can't be asked; empty where it can all."""


def snippets(python: str, commands: Sequence[str], calls: Sequence[Call], url: str) -> list[Snippet]:
    """The four ways; of several sides each is asked in its turn.

    Args:
        url: where the page is served.
    """
    return [
        Snippet("Python", python),
        Snippet("Command line", "\n\n".join(commands)),
        Snippet("curl", "\n\n".join(curl_text(call, url) for call in calls)),
        Snippet("gradio_client", client_text(calls, url)),
    ]


def code(value: Any) -> str:
    """A value as Python writes it: a dataclass as the call that makes it, without what is at its default."""
    if is_dataclass(value) and not isinstance(value, type):
        given = []
        for field in fields(value):
            held = getattr(value, field.name)
            default = field.default_factory() if field.default_factory is not MISSING else field.default
            if default is MISSING or held != default:
                given.append((field.name, held))
        return f"{type(value).__name__}({arguments(dict(given))})"
    return repr(value)


def arguments(given: Mapping[str, Any]) -> str:
    """Arguments of a Python call by their names, an argument a line where they are long."""
    written = [f"{name}={code(value)}" for name, value in given.items()]
    if len(written) < 2 or sum(map(len, written)) <= _LONG:
        return ", ".join(written)
    return "\n" + indent("".join(f"{one},\n" for one in written), "    ")


def model_code(spec: ModelSpec) -> str:
    """A model as Python asks for it, by its name even where that is the default."""
    others = code(replace(spec, checkpoint=ModelSpec.checkpoint)).removeprefix("ModelSpec(")
    return f"ModelSpec({spec.checkpoint!r}{', ' if others != ')' else ''}{others}"


def command(name: str, options: Sequence[tuple[str, Any]]) -> str:
    """A command of the workbench for a POSIX shell, an option a line; those whose value is None are left out."""
    words = [f"python -m workbench {name}", *(_option(flag, value) for flag, value in options if value is not None)]
    return " \\\n    ".join(words)


def model_options(spec: ModelSpec) -> list[tuple[str, Any]]:
    """The options that name a model."""
    return [
        ("--model", spec.checkpoint), ("--revision", spec.revision),
        ("--precision", spec.precision), ("--device-map", spec.device_map),
    ]  # fmt: skip


def served_model(spec: ModelSpec) -> tuple[dict[str, Any], str]:
    """A model as the page's endpoints take it, and what they can't be told of it."""
    named = {"model": spec.checkpoint} | ({"precision": spec.precision} if spec.precision else {})
    held = [f"revision {spec.revision}"] if spec.revision else []
    held += [f"device {spec.device_map}"] if spec.device_map else []
    return named, f"The endpoint takes no {' and no '.join(held)}." if held else ""


def changed(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What of `given` is not at its default, with lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if name not in defaults or value != defaults[name]
    }


def file_command(name: str, text: str) -> str:
    """A command that writes a file."""
    return f"printf '%s' {shlex.quote(text)} > {shlex.quote(name)}"


def curl_text(call: Call, url: str) -> str:
    """The two requests of a call by plain HTTP: one asks, one listens to the answer."""
    address = f"{url.rstrip('/')}/gradio_api/call/v2/{call.endpoint}"
    data = shlex.quote(json.dumps(call.arguments, ensure_ascii=False))
    lines = [f"# {call.note}"] if call.note else []
    lines += [
        f"EVENT=$(curl -s {shlex.quote(address)} -H 'Content-Type: application/json' \\",
        f'    -d {data} | sed \'s/.*"event_id": *"\\([^"]*\\)".*/\\1/\')',
        f'curl -sN {shlex.quote(address)}/"$EVENT"',
    ]
    return "\n".join(lines)


def client_text(calls: Sequence[Call], url: str) -> str:
    """The calls from another Python program, by the package gradio_client."""
    lines = ["from gradio_client import Client", "", f"client = Client({url!r})"]
    for call in calls:
        lines += [f"# {call.note}"] if call.note else []
        given = arguments(call.arguments | {"api_name": f"/{call.endpoint}"})
        lines.append(f"print(client.predict({given}))")
    return "\n".join(lines)


def _option(flag: str, value: Any) -> str:
    if value is True:
        return flag
    text = shlex.quote(str(value))
    # What begins with a dash would be read as an option of its own.
    return f"{flag}={text}" if str(value).startswith("-") else f"{flag} {text}"
