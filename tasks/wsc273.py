"""The Winograd schemas: which of two things a pronoun stands for."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

CAPITALISED = ("A", "An", "The", "She", "He", "It", "They", "My", "His", "Her", "Their")
POSSESSIVE = ("my", "his", "her", "our", "their")


def read(row: Row) -> Choices:
    """The text up to the pronoun, once with each option in its place; what is scored is the rest of it."""
    given, pronoun, options = row.text("text"), row.text("pronoun"), row.texts("options", least=2)
    text = given.replace("  ", " ")
    start = row.whole("pronoun_loc", 0, len(text) - len(pronoun))
    begins_sentence = text[start - 2] == "."
    prompts = tuple(text[:start] + fitting(option, pronoun, begins_sentence) for option in options)
    return Choices(prompts, options, row.gold("label", 0, len(options) - 1), text[start + len(pronoun) :])


def fitting(option: str, pronoun: str, begins_sentence: bool) -> str:
    """An option as it reads in the pronoun's place: with 's for "his", in lower case within a sentence."""
    if pronoun.lower() in POSSESSIVE:
        option += "'s"
    first = option.split()[0]
    return option.replace(first, first.lower()) if first in CAPITALISED and not begins_sentence else option


SAMPLES = (
    {
        "text": "The kettle did not fit on the shelf because it was too wide.",
        "pronoun": "it",
        "pronoun_loc": 44,
        "options": ["The kettle", "The shelf"],
        "label": 0,
    },
    {
        "text": "The kettle did not fit on the shelf because it was too narrow.",
        "pronoun": "it",
        "pronoun_loc": 44,
        "options": ["The kettle", "The shelf"],
        "label": 1,
    },
    {
        "text": "Paula told Irene that she had won the raffle, and gave her the prize.",
        "pronoun": "she",
        "pronoun_loc": 22,
        "options": ["Paula", "Irene"],
        "label": 1,
    },
    {
        "text": "The cat hid from the dog because it was barking.",
        "pronoun": "it",
        "pronoun_loc": 33,
        "options": ["The cat", "The dog"],
        "label": 1,
    },
    {
        "text": "The cat hid from the dog because it was frightened.",
        "pronoun": "it",
        "pronoun_loc": 33,
        "options": ["The cat", "The dog"],
        "label": 0,
    },
    {
        "text": "Jonas lent Karl his bicycle, since his own had a flat tyre.",
        "pronoun": "his",
        "pronoun_loc": 35,
        "options": ["Jonas", "Karl"],
        "label": 1,
    },
    {
        "text": "The painters thanked the neighbours for the ladder. They had needed it all week.",
        "pronoun": "They",
        "pronoun_loc": 52,
        "options": ["The painters", "The neighbours"],
        "label": 0,
    },
    {
        "text": "The bread was next to the oven, but it had gone cold hours ago,  so nobody baked.",
        "pronoun": "it",
        "pronoun_loc": 36,
        "options": ["The bread", "The oven"],
        "label": 1,
    },
    {
        "text": "Mr. Hale asked the boy to wait, for he was still on the telephone.",
        "pronoun": "he",
        "pronoun_loc": 36,
        "options": ["Mr. Hale", "The boy"],
        "label": 0,
    },
)

TASK = Task(
    name="wsc273",
    about="Which of two things does a pronoun stand for, by how likely the rest of the text becomes?",
    columns=("text", "pronoun", "pronoun_loc", "options", "label"),
    read=read,
    method=MultipleChoice(choices_in_prompt=True),
    samples=SAMPLES,
    source=Source("lighteval/winograd_wsc", split="test", name="wsc273"),
    references=(chance(2),),
)
