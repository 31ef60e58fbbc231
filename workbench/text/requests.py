"""What a language model can be asked in words, and what it answers."""

import re
from dataclasses import dataclass, field
from typing import Literal

from workbench.engine.jobs import Sampling, check_whole
from workbench.errors import BadRequest

LARGEST_PROMPT_CHARACTERS = 1_000_000
"""A cap before tokenizing, which costs about a second a million characters."""
MOST_STOPS = 16
LARGEST_STOP_CHARACTERS = 200


@dataclass(frozen=True)
class Generate:
    """Continue a prompt.

    Raises:
        BadRequest: a value out of its range; the message names the field.
    """

    prompt: str | tuple[int, ...]
    """A text, or the ids of its tokens."""
    max_new_tokens: int = 64
    min_new_tokens: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    seed: int | None = None
    """None draws a fresh one; the answer tells which."""
    stop: tuple[str, ...] = ()
    """Texts that end the continuation; they are not part of it."""
    banned: tuple[str, ...] = ()
    """Texts whose tokens are never chosen, each with and without a leading space; each must be one token."""
    num_beams: int = 1
    length_penalty: float = 1.0
    alternatives: int = 0
    """How many of the likeliest tokens to report beside each chosen one."""
    forced: tuple[int, ...] = ()
    """Token ids that the continuation begins with: how a branch of an earlier continuation is made."""
    shared: str = ""
    """The beginning of the prompt that many requests have in common; its keys and values are kept for the next."""
    lookup: bool = True
    """Guess what comes next from the text so far: the same tokens in fewer steps where they repeat it."""
    truncate: Literal["", "beginning", "end"] = ""
    """Which end of a prompt is left out that has no room beside max_new_tokens; empty: it is refused."""
    longest_prompt_tokens: int | None = None
    """Beyond which `truncate` cuts a prompt even where there is room."""

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, tuple):
            check_text("prompt", self.prompt)
            check_shared("prompt", self.prompt, self.shared)
        elif self.shared:
            raise BadRequest("A prompt of token ids has no shared beginning: give it as a text.")
        if not isinstance(self.lookup, bool):
            raise BadRequest(f"lookup must be true or false; got {self.lookup!r}.")
        if self.truncate not in ("", "beginning", "end"):
            raise BadRequest(f"truncate must be empty, beginning or end; got {self.truncate!r}.")
        if self.longest_prompt_tokens is not None:
            check_whole("longest_prompt_tokens", self.longest_prompt_tokens, 1, 2**20)
        if len(self.stop) > MOST_STOPS:
            raise BadRequest(f"{len(self.stop)} stop strings; at most {MOST_STOPS} are taken.")
        for text in (*self.stop, *self.banned):
            check_text("A stop or banned text", text, LARGEST_STOP_CHARACTERS)
        if "" in self.stop or "" in self.banned:
            raise BadRequest("A stop or banned text is empty.")


@dataclass(frozen=True)
class LogLikelihood:
    """How likely is this continuation of this context?"""

    context: str
    """Empty: the continuation is scored from the end-of-text token."""
    continuation: str
    shared: str = ""
    """The beginning of the context that many requests have in common; its keys and values are kept for the next."""

    def __post_init__(self) -> None:
        check_text("context", self.context)
        check_shared("context", self.context, self.shared)
        check_text("continuation", self.continuation)


@dataclass(frozen=True)
class RollingLogLikelihood:
    """How likely is this whole text, every token of it predicted once?"""

    text: str

    def __post_init__(self) -> None:
        check_text("text", self.text)


@dataclass(frozen=True)
class Classify:
    """What does a trained head say of this text?"""

    text: str
    head: str
    """The key of a head that shares the model's trunk."""

    def __post_init__(self) -> None:
        check_text("text", self.text)


SPAN_TEMPLATE = "{context}\nQuestion: {question}\nAnswer:"


@dataclass(frozen=True)
class ExtractSpan:
    """Where in the passage does the answer stand?

    Raises:
        BadRequest: an empty passage or question, or a value out of its range; the message names the field.
    """

    question: str
    context: str
    """The passage. Every answer is a piece of it."""
    head: str | None = None
    """The key of a trained span head; None ranks the passage's spans by the language model's likelihood."""
    n_best: int = 20
    max_answer_tokens: int = 30
    window_tokens: int = 384
    """A longer passage is read in windows of so many tokens, question included; never more than the context."""
    doc_stride: int = 128
    """Tokens of the passage that two neighbouring windows share; never more than half of what a window shows of it."""
    template: str = SPAN_TEMPLATE
    """The language model's prompt; the answer follows it."""
    shots: tuple[tuple[str, str, str], ...] = ()
    """For the language model: worked examples (passage, question, answer) before the prompt."""
    unanswerable: str = "unanswerable"
    """For the language model: what stands for no answer, in the examples too."""

    def __post_init__(self) -> None:
        for name in ("question", "context", "template", "unanswerable"):
            check_text(name, getattr(self, name))
        for text in (text for shot in self.shots for text in shot):
            check_text("A text of an example", text)
        named = {"question": "question", "context": "passage", "unanswerable": "text for no answer"}
        for name, called in named.items():
            if not getattr(self, name).strip():
                needs = "Extractive question answering needs a question and a passage."
                raise BadRequest(f"The {called} is empty. {needs}")
        check_whole("n_best", self.n_best, 1, 1000)
        check_whole("max_answer_tokens", self.max_answer_tokens, 1, 1000)
        check_whole("window_tokens", self.window_tokens, 8, 2**20)
        check_whole("doc_stride", self.doc_stride, 0, 2**20)
        for slot in ("{context}", "{question}"):
            if self.template.count(slot) != 1:
                raise BadRequest(f"The template must hold {slot} exactly once; got {self.template!r}.")


@dataclass(frozen=True)
class Alternative:
    """A token that could have been chosen."""

    id: int
    text: str
    logprob: float


@dataclass(frozen=True)
class TokenText:
    """A token in words, with the model's own opinion of it."""

    id: int
    text: str
    """The text that became complete with this token; empty for half a character."""
    logprob: float
    alternatives: tuple[Alternative, ...] = ()
    rank: int = 1
    """1 for the likeliest token."""


@dataclass(frozen=True)
class Scored:
    """The answer to a likelihood request."""

    loglikelihood: float
    """Natural log, summed over the tokens."""
    is_greedy: bool
    """Whether each token was the likeliest."""
    tokens: tuple[TokenText, ...] = ()
    unseen_tokens: int = 0
    """At the beginning of the prompt, for which the model's context had no room."""


@dataclass(frozen=True)
class Classified:
    """The answer of a classification head."""

    logits: tuple[float, ...]
    """One a label, in the head's order; a regression head has one alone, its number."""
    tokens: int
    """That were read."""
    unseen_tokens: int = 0
    """At the end of the text, beyond what the head was trained to read."""


@dataclass(frozen=True)
class Span:
    """A piece of the passage: `text == context[start:end]`."""

    text: str
    start: int
    """In characters of the passage."""
    end: int
    score: float
    """A head's start logit plus end logit, or the language model's log-probability of the answer and its end."""
    probability: float
    """Softmax of the scores over the n best and the null score; a ranking aid, not a calibrated probability."""


@dataclass(frozen=True)
class Spans:
    """The answer to ExtractSpan."""

    n_best: tuple[Span, ...]
    """Best first, no two with the same start and end."""
    null_score: float
    """On the spans' scale: how well "no answer" does, the smallest over all windows."""
    windows: int

    def best(self, threshold: float = 0.0) -> Span | None:
        """The answer; None where null_score minus the best score exceeds the threshold."""
        if not self.n_best or self.null_score - self.n_best[0].score > threshold:
            return None
        return self.n_best[0]


@dataclass(frozen=True)
class Generated:
    """A continuation as far as it has come."""

    text: str = ""
    """Without the stop string that ended it."""
    tokens: list[TokenText] = field(default_factory=list)
    finish_reason: str | None = None
    """"stop" (the model ended the text), "stop_string", "length", or None while it runs."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    time_to_first_token_seconds: float | None = None
    tokens_per_second: float | None = None
    """Of decoding: tokens after the first, over the time since the first; None before the second.

    Beam search gives all its tokens at the end: there it is all tokens over the whole time.
    """
    seed: int = 0
    context_tokens: int = 0
    """The model's context, n_positions."""
    unseen_tokens: int = 0
    """Of the prompt, left out as the request's `truncate` says."""
    drafted_tokens: int = field(default=0, compare=False)
    """Guessed from the text so far and computed ahead; known at the end. How many depends on who else is served."""
    accepted_tokens: int = field(default=0, compare=False)
    """Of the continuation, those that were guessed."""
    stop: TokenText | None = field(default=None, compare=False)
    """The token by which the model ended the text; it is not part of it."""


Request = LogLikelihood | RollingLogLikelihood | Generate | Classify | ExtractSpan
Answer = Scored | Generated | Classified | Spans


def fill(template: str, context: str, question: str) -> str:
    """The template with its two slots filled; what stands in the texts is never taken for a slot."""
    texts = {"{context}": context, "{question}": question}
    return re.sub(r"\{context\}|\{question\}", lambda slot: texts[slot[0]], template)


def check_text(name: str, text: object, longest: int = LARGEST_PROMPT_CHARACTERS) -> None:
    """Raises BadRequest unless `text` is a text of at most so many characters."""
    if not isinstance(text, str):
        raise BadRequest(f"{name} must be a text; got {type(text).__name__}.")
    if len(text) > longest:
        raise BadRequest(f"{name} has {len(text):,} characters; at most {longest:,} are taken.")


def check_shared(name: str, text: str, shared: object) -> None:
    """Raises BadRequest unless `shared` is a text that `text` begins with."""
    check_text("shared", shared)
    if not text.startswith(str(shared)):
        raise BadRequest(
            f"The {name} does not begin with the text it is said to share with others. Leave shared empty."
        )
