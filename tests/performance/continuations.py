"""Continuations of children's-story openings, unselected, and how like the training text they are.

    python -m tests.performance.continuations --model DIR --texts FOLDER [--seeds 10] [--every] [--json]

Ten openings of our own are continued by 120 tokens at temperature 0.8 and top-p 0.95, each with seeds 0, 1, ... Printed
as Markdown are the first opening with seed 0, the second with seed 1, and so on (--every: all of them); the figures are
of all. Beside them stand those of the training text, on as many stretches of as many words, taken at random places:

- real words: the share of words that stand in the training texts, for a stretch of them in what is left without it, or
  in /usr/share/dict/words where a machine has that list;
- repeated 4-grams: the share of four words in a row that came before in the same continuation or stretch.
"""

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.engine.jobs import Sampling
from workbench.manager import ModelManager, ModelSpec
from workbench.text.requests import Generate, Generated
from workbench.training.corpus import Document, read_documents

OPENINGS = (
    "Once upon a time there was a little mouse who lived under the kitchen floor.",
    '"Wake up, wake up!" called Mother Rabbit. "The sun is shining, and',
    "One rainy afternoon Betty and her brother Jack climbed up to the attic. In the corner stood an old trunk, and",
    "The king had three daughters, and the youngest of them",
    "Far out in the green forest, under a great pine tree, there was a tiny house with a red door. In it lived",
    "Bobby had never seen such a big dog before. He",
    '"Who is that knocking at my door so late at night?" asked the old woman.',
    "When the snow was all gone and the first flowers peeped out, the squirrels",
    "Grandpa put his hand into his pocket and took out something wrapped in paper. The children",
    "The little boat had drifted away from the shore, and nobody on the beach had noticed it.",
)
NEW_TOKENS = 120
SAMPLING = Sampling(temperature=0.8, top_p=0.95)
WORD_LIST = Path("/usr/share/dict/words")
GRAM = 4
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")


@dataclass(frozen=True)
class Continuation:
    """What the model wrote after one of the openings."""

    opening: str
    seed: int
    text: str
    ended: bool
    """Whether the model ended the text itself; else its last word may be cut off."""


@dataclass(frozen=True)
class Figures:
    """Of a number of texts together."""

    words: int
    real_words: float
    """Share of the words."""
    unreal: tuple[str, ...]
    """The words that are not real, the most frequent ones first."""
    repeated_4grams: float
    """Share of the 4-grams."""


def words_of(text: str) -> list[str]:
    """Its words in lower case."""
    return [found.lower() for found in _WORD.findall(text)]


def written_words(one: Continuation) -> list[str]:
    """The words after the opening, the last one left out where it may be cut off."""
    text = one.opening + one.text
    found = [match for match in _WORD.finditer(text) if match.end() > len(one.opening)]
    if found and not one.ended and found[-1].end() == len(text):
        found.pop()
    return [match[0].lower() for match in found]


def repeated(words: Sequence[str]) -> tuple[int, int]:
    """How many of a text's 4-grams came before in it, and how many there are."""
    grams = list(zip(*(words[start:] for start in range(GRAM)), strict=False))
    return len(grams) - len(set(grams)), len(grams)


def figures_of(texts: Sequence[Sequence[str]], known: Counter[str], listed: frozenset[str], inside: bool) -> Figures:
    """The figures of texts given as their words.

    Args:
        known: how often each word stands in the training texts.
        listed: words that are real wherever they stand.
        inside: the texts are stretches of the training texts, whose own words count for nothing.
    """
    unreal: Counter[str] = Counter()
    again = grams = 0
    for words in texts:
        own = Counter(words) if inside else Counter[str]()
        unreal.update(word for word in words if known[word] <= own[word] and word not in listed)
        more_again, more = repeated(words)
        again, grams = again + more_again, grams + more
    total = sum(map(len, texts))
    real = 1 - unreal.total() / max(1, total)
    return Figures(total, real, tuple(word for word, _ in unreal.most_common()), again / max(1, grams))


def stretches(documents: Sequence[Sequence[str]], lengths: Sequence[int], seed: int = 0) -> list[Sequence[str]]:
    """Of the training text: for each length so many words in a row, within one document, every place equally likely.

    Raises:
        ValueError: no document is so long.
    """
    drawn, rng = [], random.Random(seed)
    for length in lengths:
        fitting = [words for words in documents if len(words) >= length]
        if not fitting:
            raise ValueError(f"No training text has {length} words. Give the texts that the model was trained on.")
        (words,) = rng.choices(fitting, [len(words) - length + 1 for words in fitting])
        start = rng.randrange(len(words) - length + 1)
        drawn.append(words[start : start + length])
    return drawn


def continued(model: Path, seeds: int) -> list[Continuation]:
    """Every opening with every seed, opening by opening."""
    asked = [(opening, seed) for opening in OPENINGS for seed in range(seeds)]
    requests = [Generate(opening, NEW_TOKENS, sampling=SAMPLING, seed=seed) for opening, seed in asked]
    spec = ModelSpec(str(model))
    with closing(ModelManager()) as manager, manager.lease(spec) as language_model:
        answers = language_model.answers(requests)
    return [
        Continuation(opening, seed, answer.text, answer.finish_reason == "stop")
        for (opening, seed), answer in zip(asked, answers, strict=True)
        if isinstance(answer, Generated)
    ]


def unselected(found: Sequence[Continuation], seeds: int) -> list[Continuation]:
    """The first opening with seed 0, the second with seed 1, and so on; with fewer seeds they begin anew."""
    seed_of = {opening: place % seeds for place, opening in enumerate(OPENINGS)}
    return [one for one in found if one.seed == seed_of[one.opening]]


def as_markdown(shown: Sequence[Continuation], ours: Figures, theirs: Figures, texts: int, real: str) -> str:
    """The continuations as quotations, then the table of figures."""
    parts = []
    for one in shown:
        quoted = f"**{one.opening}**{one.text}".strip().replace("\n", "\n> ")
        parts.append(f"Seed {one.seed}:\n\n> {quoted}" + ("" if one.ended else " ..."))
    rows = [
        f"| | {texts:,} continuations | as many stretches of the training text |",
        "|---|---|---|",
        f"| words | {ours.words:,} | {theirs.words:,} |",
        f"| real words | {ours.real_words:.2%} | {theirs.real_words:.2%} |",
        f"| repeated 4-grams | {ours.repeated_4grams:.2%} | {theirs.repeated_4grams:.2%} |",
    ]
    unreal = ", ".join(ours.unreal[:20]) or "none"
    parts += ["\n".join(rows), f"A word is real if it stands in {real}. Not real in the continuations: {unreal}."]
    return "\n\n".join(parts)


def measure(model: Path, documents: Sequence[Document], seeds: int) -> tuple[list[Continuation], Figures, Figures, str]:
    """The continuations, their figures, those of the training text, and what makes a word real."""
    found = continued(model, seeds)
    texts = [words_of(document.text) for document in documents]
    known = Counter(word for words in texts for word in words)
    listed = frozenset(words_of(WORD_LIST.read_text(encoding="utf-8"))) if WORD_LIST.exists() else frozenset[str]()
    real = "the training texts" + (f" or in {WORD_LIST}" if listed else "")
    written = [written_words(one) for one in found]
    ours = figures_of(written, known, listed, inside=False)
    theirs = figures_of(stretches(texts, [len(words) for words in written]), known, listed, inside=True)
    return found, ours, theirs, real


def main() -> None:
    """Prints continuations and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="that the model was trained on")
    parser.add_argument("--seeds", type=int, default=10, help="continuations of each opening")
    parser.add_argument("--every", action="store_true", help="print all continuations, not one of each opening")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    found, ours, theirs, real = measure(options.model, list(read_documents(options.texts)), options.seeds)
    if options.json:
        told = {"continuations": [asdict(one) for one in found], "model": asdict(ours), "training_text": asdict(theirs)}
        print(json.dumps({**told, "real_words_stand_in": real}, ensure_ascii=False))
        return
    print(as_markdown(found if options.every else unselected(found, options.seeds), ours, theirs, len(found), real))


if __name__ == "__main__":
    main()
