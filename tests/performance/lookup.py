"""What guessing ahead from the text so far brings: tokens a second with and without, and that the tokens are the same.

python -m tests.performance lookup [--data ../shared/data] [--checkpoint FOLDER] [--precision int8]

Each prompt is continued with guesses and without, one right after the other. A demo's own words are of small worth, so
there are also continuations whose words are given: a stand-in for a model that answers with a piece of the passage,
quotes the sentence around it, shortens a story by leaving sentences out, or goes on with what nobody could guess.
Each step still computes the whole model; only the choice of the token is made for it.
"""

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from tests.performance.real_data import fairy_tales
from tests.performance.report import Report, Table, as_number, between
from tests.performance.turns import spread
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode, Decoded, Sampling
from workbench.engine.served import Following, Served
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model
from workbench.loading.spec import DEMO_FOLDER
from workbench.text.tokenizer import Tokenizer

GREEDY = Sampling(temperature=0.0)
CERTAIN = 1e4
"""Added to the logit of a given token: far more than any other has."""
OWN_TOKENS, PROMPT_TOKENS, MOST_GIVEN = 100, 380, 120
KEPT_SENTENCES = 3
"""A story is shortened to every third sentence."""


@dataclass(frozen=True)
class Case:
    """One prompt, and how it is continued."""

    kind: str
    prompt: tuple[int, ...]
    given: tuple[int, ...] = ()
    """The continuation; empty: the model's own."""
    sampling: Sampling = GREEDY


@dataclass(frozen=True)
class Scripted(Served):
    """A model that writes what it is given, at the cost of one that finds it."""

    script: tuple[int, ...] = ()
    """The whole text of the one stream, prompt included."""

    def decode(self, streams: Sequence[Following]) -> Tensor:
        """The model's own logits, with the given token far above all others."""
        ((tokens, cache),) = streams
        after = self.script[cache.length + 1 :]
        logits = super().decode(streams)
        for row, token in zip(range(len(tokens)), after, strict=False):
            logits[row, token] += CERTAIN
        return logits


@dataclass(frozen=True)
class Result:
    """A continuation with its pace."""

    decoded: Decoded
    tokens_per_second: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds the folder fairytaleqa")
    parser.add_argument("--precision", help="default: the checkpoint's own")
    parser.add_argument("--checkpoint", type=Path, default=DEMO_FOLDER, help="default: the demo")
    parser.add_argument("--prompts", type=int, default=10, help="of each kind")


def run(options: argparse.Namespace) -> Report:
    """All kinds, the rounds one after another."""
    model, _ = load_model(GPTJForCausalLM, options.checkpoint, precision=options.precision)
    tokenizer = Tokenizer.from_folder(options.checkpoint)
    cases = list(all_cases(options, tokenizer))
    kinds = dict.fromkeys(case.kind for case in cases)
    paces: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    counts = {kind: [0, 0, 0] for kind in kinds}
    with Engine(model, tokenizer.size, cores=options.threads) as engine:
        plain = engine.served
        for round_ in range(options.rounds + 1):  # the first one warms up
            for place, case in enumerate(cases):
                # Either goes first as often as the other.
                order = (False, True) if (round_ + place) % 2 else (True, False)
                found = {lookup: continued(engine, plain, case, lookup, round_) for lookup in order}
                if found[True].decoded != found[False].decoded:
                    raise RuntimeError(f"{case.kind}: the tokens with guesses are not those without")
                if round_:
                    paces[case.kind].append((found[False].tokens_per_second, found[True].tokens_per_second))
                    decoded = found[True].decoded
                    for at, more in enumerate((len(decoded.tokens), decoded.drafted, decoded.accepted)):
                        counts[case.kind][at] += more
    return shown(paces, counts, f"{options.checkpoint.name}, {options.precision or 'as saved'}")


def continued(engine: Engine, plain: Served, case: Case, lookup: bool, seed: int) -> Result:
    """One continuation; its pace counts from the first token on."""
    served = plain
    if case.given:
        fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
        served = Scripted(**fields, script=(*case.prompt, *case.given))
    engine.served = served
    length = len(case.given) or OWN_TOKENS
    # What is given begins with the second token: the first one's logits come from the prompt.
    job = Decode(case.prompt, length, sampling=case.sampling, seed=seed, forced=case.given[:1], lookup=lookup)
    handle = engine.decode(job)
    times = [token.emitted_at for token in handle]
    return Result(handle.result(), (len(times) - 1) / (times[-1] - times[0]))


def all_cases(options: argparse.Namespace, tokenizer: Tokenizer) -> Iterator[Case]:
    """The prompts of each kind."""
    rng = random.Random(0)
    questions = fairy_tales(options.data)["test"]
    rng.shuffle(questions)
    fitting = [row for row in questions if 60 < len(row["context"]) < 900][: options.prompts]
    for row in fitting:
        asked = f"{row['context']}\nQuestion: {row['question']}\nAnswer:"
        answer = row["answers"][0]
        quoted = next((one for one in sentences(row["context"]) if answer in one), answer)
        yield case("the answer is a piece of the passage", tokenizer, asked, f" {answer}\n")
        yield case("the answer quotes a sentence", tokenizer, asked, f" {quoted}\n")
        yield case("own words after a question", tokenizer, asked)
    lines = (options.data / "fairytaleqa" / "stories.jsonl").read_text(encoding="utf-8").splitlines()
    stories = [text for text in (json.loads(line)["text"] for line in lines) if 900 < len(text) < 1300]
    for text in rng.sample(stories, options.prompts):
        shorter = " ".join(sentences(text)[::KEPT_SENTENCES])
        yield case("a summary of the story's sentences", tokenizer, f"{text}\nSummary:", f" {shorter}\n")
        yield case("new text", tokenizer, text[: len(text) // 2], text[len(text) // 2 :])
        yield case("own words after a story", tokenizer, f"{text}\nSummary:")
        drawn = case("own words, drawn at temperature 1", tokenizer, f"{text}\nSummary:")
        yield replace(drawn, sampling=Sampling())


def case(kind: str, tokenizer: Tokenizer, prompt: str, given: str = "") -> Case:
    """A case in tokens, cut to what a small context holds."""
    return Case(kind, tuple(tokenizer.encode(prompt)[-PROMPT_TOKENS:]), tuple(tokenizer.encode(given)[:MOST_GIVEN]))


def sentences(text: str) -> list[str]:
    """A text in sentences, more or less."""
    return re.split(r"(?<=[.!?])\s+", text)


def shown(paces: dict[str, list[tuple[float, float]]], counts: dict[str, list[int]], model: str) -> Report:
    """Medians with and without guesses, and how they compare prompt by prompt."""
    header = ("", "tokens/s plain", "with guesses", "times as fast", "p10-p90", "guessed rightly", "of all tokens")
    rows, figures = [], {}
    for kind, pairs in paces.items():
        without, with_ = spread(one for one, _ in pairs), spread(two for _, two in pairs)
        ratio = spread(two / one for one, two in pairs)
        tokens, drafted, accepted = counts[kind]
        rightly, share = accepted / max(1, drafted), accepted / tokens
        rows.append(
            (kind, as_number(without.median), as_number(with_.median), f"{ratio.median:.2f}x", between(ratio),
             f"{rightly:.0%}", f"{share:.0%}")
        )  # fmt: skip
        figures[kind] = {
            "tokens_per_second_plain": without.median, "tokens_per_second": with_.median, "times": ratio.median,
            "times_p10": ratio.low, "times_p90": ratio.high, "drafted": drafted, "accepted": accepted,
            "tokens": tokens, "pairs": len(pairs),
        }  # fmt: skip
    return Report(
        [Table(f"Guessing ahead ({model}); the tokens are the same", header, tuple(rows))], {"kinds": figures}
    )
