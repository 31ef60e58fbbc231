"""A completion request as OpenAI's clients send it, checked field by field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.api.refusals import Refused
from workbench.engine.jobs import LARGEST_SEED, MOST_ALTERNATIVES, Sampling
from workbench.errors import BadRequest
from workbench.text.requests import LARGEST_STOP_CHARACTERS, MOST_STOPS

Prompt = str | tuple[int, ...]
MOST_CHOICES = 64
"""Texts of one request: its prompts times `n`."""
LARGEST_MAX_TOKENS = 2**20
LARGEST_NUMBER = 2**63
"""Of any field; each has a smaller range of its own."""
LONGEST_SHOWN = 60
"""Characters of a wrong value that its refusal repeats."""
_SAMPLING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
_NAMES = {
    *_SAMPLING,
    *("model", "prompt", "max_tokens", "n", "stream", "stream_options", "stop", "seed", "echo", "logprobs"),
    *("best_of", "suffix", "logit_bias", "user", "return_tokens_as_token_ids"),
}


@dataclass(frozen=True)
class Ask:
    """What a caller of /v1/completions wants."""

    model: str
    prompts: tuple[Prompt, ...]
    """Texts, or token ids."""
    max_tokens: int = 16
    """0 only with echo: the prompt alone, with its log-probabilities."""
    n: int = 1
    echo: bool = False
    logprobs: int | None = None
    """How many of the likeliest tokens to tell for each; None tells no log-probabilities."""
    stream: bool = False
    include_usage: bool = False
    """Whether a stream's last chunk tells the usage."""
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    seed: int | None = None
    as_ids: bool = False
    """Whether log-probabilities name tokens by their numbers: a token's text may stand for several, or for none."""

    @property
    def texts(self) -> int:
        """How many are to be written."""
        return len(self.prompts) * self.n


def read_ask(body: Any) -> Ask:
    """The request in a JSON document.

    Raises:
        Refused: 400, naming the field.
    """
    if not isinstance(body, dict):
        raise Refused(400, 'The body must be a JSON object, such as {"model": "demo", "prompt": "Once"}.')
    given = {name: value for name, value in body.items() if value is not None}
    if unknown := sorted(given.keys() - _NAMES):
        raise Refused(400, f"Unrecognized request argument supplied: {_short(unknown[0])}.", unknown[0][:LONGEST_SHOWN])
    _refuse_unserved(given)
    prompts = _prompts(given)
    count = _whole(given, "n", 1, 1, MOST_CHOICES)
    if len(prompts) * count > MOST_CHOICES:
        raise Refused(400, f"{len(prompts)} prompts times n={count} are more than {MOST_CHOICES} texts. Ask for fewer.")
    echo, stream = _truth(given, "echo"), _truth(given, "stream")
    options = given.get("stream_options", {})
    if not isinstance(options, dict) or (options and not stream):
        raise Refused(400, "stream_options must be an object, and goes with stream=true only.", "stream_options")
    return Ask(
        model=_model(given),
        prompts=prompts,
        max_tokens=_whole(given, "max_tokens", 16, 0 if echo else 1, LARGEST_MAX_TOKENS),
        n=count,
        echo=echo,
        logprobs=_whole(given, "logprobs", 0, 0, MOST_ALTERNATIVES) if "logprobs" in given else None,
        stream=stream,
        include_usage=_truth(options, "include_usage"),
        sampling=_sampling(given),
        stop=_stop(given),
        seed=_whole(given, "seed", 0, -LARGEST_SEED, LARGEST_SEED) if "seed" in given else None,
        as_ids=_truth(given, "return_tokens_as_token_ids"),
    )


def _refuse_unserved(given: Mapping[str, Any]) -> None:
    """Fields of OpenAI's that only their neutral values are taken of."""
    if given.get("suffix"):
        raise Refused(400, "suffix is not served: GPT-J only continues texts. Leave it out.", "suffix")
    if given.get("logit_bias"):
        raise Refused(400, "logit_bias is not served. Leave it out.", "logit_bias")
    if given.get("best_of", given.get("n", 1)) != given.get("n", 1):
        raise Refused(400, "best_of is served only where it equals n. Leave it out.", "best_of")


def _model(given: Mapping[str, Any]) -> str:
    model = given.get("model")
    if not isinstance(model, str) or not model.strip():
        raise Refused(400, 'you must provide a model parameter, such as "demo"; /v1/models lists them.', "model")
    return model.strip()


def _prompts(given: Mapping[str, Any]) -> tuple[Prompt, ...]:
    """One text, several, one list of token ids, or several; without any a document is begun, as OpenAI does."""
    prompt = given.get("prompt")
    if prompt is None:
        return ("",)
    if prompt == "" or (isinstance(prompt, list) and (not prompt or any(one in ("", []) for one in prompt))):
        raise Refused(400, "The prompt is empty. Send a text, or leave prompt out to begin a document.", "prompt")
    if isinstance(prompt, str):
        return (prompt,)
    if isinstance(prompt, list):
        if all(isinstance(one, str) for one in prompt):
            return tuple(prompt)
        if all(map(_is_id, prompt)):
            return (tuple(prompt),)
        if all(isinstance(one, list) and all(map(_is_id, one)) for one in prompt):
            return tuple(map(tuple, prompt))
    raise Refused(400, "prompt must be a text, a list of texts, or one or several lists of token ids.", "prompt")


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _sampling(given: Mapping[str, Any]) -> Sampling:
    values = {field: given[name] for name, field in _SAMPLING.items() if name in given}
    if "top_k" in values:
        values["top_k"] = max(0, _whole(given, "top_k", 0, -1, 2**31))  # -1 stands for all, as in other servers
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_NUMBER:
            raise Refused(400, f"{name} is {_short(value)}; it must be a number in its range.", name)
    try:
        return Sampling(**values)
    except BadRequest as error:
        raise Refused(400, str(error), next((name for name in values if name in str(error)), None)) from error


def _stop(given: Mapping[str, Any]) -> tuple[str, ...]:
    stop = given.get("stop", [])
    texts = [stop] if isinstance(stop, str) else stop
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refused(400, "stop must be a text or a list of texts.", "stop")
    texts = [text for text in texts if text]
    if len(texts) > MOST_STOPS or any(len(text) > LARGEST_STOP_CHARACTERS for text in texts):
        told = f"stop takes at most {MOST_STOPS} texts of at most {LARGEST_STOP_CHARACTERS} characters."
        raise Refused(400, told, "stop")
    return tuple(texts)


def _whole(given: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(400, f"{name} is {_short(value)}; it must be a whole number from {low} to {high}.", name)
    return value


def _truth(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise Refused(400, f"{name} is {_short(value)}; it must be true or false.", name)
    return value


def _short(value: Any) -> str:
    """A wrong value as it is shown."""
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."
