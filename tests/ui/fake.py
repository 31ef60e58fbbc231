"""A model manager and a language model that follow a script, for tests of the page: no weights and no waiting."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from workbench.engine.pace import PaceRecord, Step
from workbench.errors import BadRequest, Busy, CheckpointNotFound
from workbench.loading.heads import HeadCard
from workbench.loading.load import LoadProgress
from workbench.loading.memory import MemoryPlan
from workbench.loading.parts import Part
from workbench.manager import LoadedModel, ModelSpec
from workbench.text.requests import Alternative, Generate, Generated, TokenText

GIB = 2**30
WORDS = (
    " the",
    " old",
    " fox",
    " looked",
    " at",
    " her",
    " and",
    " said",
    ",",
    "\n",
    " “",
    "come",
    " with",
    " me",
    "”",
    ".",
)
"""The script: the fake's whole vocabulary; a token's id is its place here."""

BYTES_PER_PARAMETER = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1, "nf4": 0.5}


def scripted_token(step: int, token_id: int) -> TokenText:
    """A token with four alternatives; the probabilities go round, so that every colour is seen."""
    first = (0.92, 0.34, 0.12, 0.03, 0.004)[step % 5]
    others = [(token_id, first)] + [((token_id + k) % len(WORDS), (1 - first) / 2**k) for k in (1, 2, 3)]
    others.sort(key=lambda pair: -pair[1])
    rank = [pair[0] for pair in others].index(token_id) + 1
    alternatives = tuple(Alternative(other, WORDS[other], math.log(p)) for other, p in others)
    return TokenText(id=token_id, text=WORDS[token_id], logprob=math.log(first), alternatives=alternatives, rank=rank)


class FakeLanguageModel:
    """Writes the script, `seconds_per_token` apart, and remembers the requests and how many streams were closed."""

    def __init__(self, seconds_per_token: float = 0.0, words: Callable[[int], str] | None = None):
        self.seconds_per_token, self.words = seconds_per_token, words
        self.requests: list[Generate] = []
        self.closed = 0
        self.steps = 0
        self.pace = PaceRecord()
        """Where a text without guesses notes its steps."""

    def stream(self, request: Generate) -> Iterator[Generated]:
        """Growing snapshots; a prompt or a banned text with BOOM in it is refused."""
        if any("BOOM" in text for text in (request.prompt, *request.banned)):
            raise BadRequest("The prompt holds <b>BOOM</b>. Take it out.")
        self.requests.append(request)
        tokens: list[TokenText] = []
        try:
            for step in range(request.max_new_tokens):
                time.sleep(self.seconds_per_token)
                self.steps += 1
                if step and not request.lookup:
                    self.pace.note(Step(self.seconds_per_token or 0.01, streams=1, rows=1, tokens=1, cache_bytes=0))
                tokens.append(self._token(step, request))
                yield self._snapshot(request, tokens, "length" if step + 1 == request.max_new_tokens else None)
        finally:
            self.closed += 1

    def generate(self, request: Generate) -> Generated:
        """The last snapshot."""
        *_, last = self.stream(request)
        return last

    def _token(self, step: int, request: Generate) -> TokenText:
        forced = request.forced[step] if step < len(request.forced) else step % len(WORDS)
        token = scripted_token(step, forced)
        return token if self.words is None else replace(token, text=self.words(step))

    def _snapshot(self, request: Generate, tokens: list[TokenText], finish_reason: str | None) -> Generated:
        return Generated(
            text="".join(token.text for token in tokens),
            tokens=list(tokens),
            finish_reason=finish_reason,
            prompt_tokens=len(request.prompt.split()),
            completion_tokens=len(tokens),
            seconds=0.05 * len(tokens),
            time_to_first_token_seconds=0.05,
            tokens_per_second=20.0,
            seed=7 if request.seed is None else request.seed,
            context_tokens=512,
        )


class FakeManager:
    """Knows a demo model of 7 M parameters and one that does not fit; keeps what it loaded in a dictionary."""

    def __init__(self, model: FakeLanguageModel | None = None, load_seconds: float = 0.0):
        self.model = model or FakeLanguageModel()
        self.load_seconds = load_seconds
        self.leases: Counter[ModelSpec] = Counter()
        self._loaded: dict[ModelSpec, LoadedModel] = {}
        self.records: dict[ModelSpec, PaceRecord] = {}
        self.loads = False

    def known(self) -> list[str]:
        """The checkpoints on this machine."""
        return ["demo", "EleutherAI/gpt-j-6b"]

    def loaded(self) -> list[LoadedModel]:
        """The loaded models, with their leases as they are now."""
        return [replace(model, leases=self.leases[spec]) for spec, model in self._loaded.items()]

    def paces(self) -> dict[ModelSpec, PaceRecord]:
        """What each model wrote lately: nothing, or what a test noted."""
        return {spec: self.records.setdefault(spec, self.model.pace) for spec in self._loaded}

    def is_loading(self) -> bool:
        """Whether a test says so."""
        return self.loads

    def is_loaded(self, spec: ModelSpec) -> bool:
        """Whether this model, however its name is spelt, is in memory."""
        return any(_same(loaded) == _same(spec) for loaded in self._loaded)

    def plan(self, spec: ModelSpec, streams: int = 1, context: int | None = None) -> MemoryPlan:
        """4 GiB are available: the large model fits in nf4 alone."""
        parameters = _parameters(spec)
        context = context or 2048
        cache = context * parameters // 15_000
        available = 4 * GIB
        totals = {name: int(parameters * size) + streams * cache for name, size in BYTES_PER_PARAMETER.items()}
        fits = totals[spec.precision or "float32"] <= available
        return MemoryPlan(
            precision=spec.precision or "float32",
            parameters=parameters,
            weights_bytes=int(parameters * BYTES_PER_PARAMETER[spec.precision or "float32"]),
            kv_cache_bytes_per_stream=cache,
            streams=streams,
            context=context,
            total_bytes=totals[spec.precision or "float32"],
            available_bytes=available,
            fits=fits,
            advice="It leaves room for more streams." if fits else "Choose nf4, or a shorter context.",
            alternatives=tuple(
                (n, total, total <= available) for n, total in totals.items() if n != (spec.precision or "float32")
            ),
            read_bytes_per_token={name: int(0.85 * parameters * size) for name, size in BYTES_PER_PARAMETER.items()},
        )

    def load(self, spec: ModelSpec, progress: Callable[[LoadProgress], None] | None = None) -> LoadedModel:
        """Loads in ten steps."""
        parameters = _parameters(spec)
        size = int(parameters * BYTES_PER_PARAMETER[spec.precision or "float32"])
        for step in range(1, 11):
            time.sleep(self.load_seconds / 10)
            if progress is not None:
                progress(LoadProgress(step, 10, size * step // 10, size, f"transformer.h.{step}.attn.q_proj.weight"))
        self._loaded[spec] = LoadedModel(
            spec=spec, parts=_parts(parameters, size, spec), seconds=self.load_seconds, report=None,
        )  # fmt: skip
        return self._loaded[spec]

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[FakeLanguageModel]:
        """The model, loaded if need be; it can't be unloaded meanwhile."""
        if not self.is_loaded(spec):
            self.load(spec)
        self.leases[spec] += 1
        try:
            yield self.model
        finally:
            self.leases[spec] -= 1

    def heads(self, spec: ModelSpec) -> list[HeadCard]:
        """None was trained."""
        return []

    def use_head(self, spec: ModelSpec, name_or_folder: str, kind: str | None = None) -> HeadCard:
        """There is none."""
        raise BadRequest(f"There is no head {name_or_folder!r}.")

    def unload(self, spec: ModelSpec) -> None:
        """Forgets a model that nobody leases."""
        if self.leases[spec]:
            raise Busy(f"{spec.checkpoint} is in use. Stop its texts first.")
        del self._loaded[spec]


def _same(spec: ModelSpec) -> ModelSpec:
    return replace(spec, precision=spec.precision or "float32")


def _parameters(spec: ModelSpec) -> int:
    try:
        return {"demo": 7_200_000, "EleutherAI/gpt-j-6b": 6_053_381_344}[spec.checkpoint]
    except KeyError:
        raise CheckpointNotFound(f"There is no folder {spec.checkpoint!r}, and the Hub was not asked.") from None


def _parts(parameters: int, size: int, spec: ModelSpec) -> list[Part]:
    shares = [("transformer.wte", 0.15), *((f"transformer.h.{i}", 0.175) for i in range(4)), ("lm_head", 0.15)]
    dtype, device = spec.precision or "float32", str(spec.device_map or "cpu")
    return [Part(name, int(parameters * share), int(size * share), dtype, device) for name, share in shares]
