"""OpenBookQA: how a sentence on elementary science goes on, for which a fact must be brought along."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task


def read(row: Row) -> Choices:
    """The stem as it is, and its four endings."""
    texts, labels = row.lists("choices", "text", "label")
    return Choices(row.text("question_stem"), texts, row.one_of("answerKey", labels))


SAMPLES = (
    {
        "id": "book-1",
        "question_stem": "A puddle is gone by noon because the water",
        "choices": {
            "text": ["sank into a bucket", "rose into the air", "turned into sand", "was never there"],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "B",
    },
    {
        "id": "book-2",
        "question_stem": "To see in a dark cave, a bat uses",
        "choices": {"text": ["its ears", "its wings", "its feet", "its teeth"], "label": ["A", "B", "C", "D"]},
        "answerKey": "A",
    },
    {
        "id": "book-3",
        "question_stem": "A seed is most likely to be carried far by",
        "choices": {"text": ["a stone", "a shadow", "a root", "the wind"], "label": ["A", "B", "C", "D"]},
        "answerKey": "D",
    },
    {
        "id": "book-4",
        "question_stem": "What would make a sledge slide farther?",
        "choices": {"text": ["gravel", "grass", "ice", "glue"], "label": ["A", "B", "C", "D"]},
        "answerKey": "C",
    },
    {
        "id": "book-5",
        "question_stem": "A tadpole will grow up to be",
        "choices": {"text": ["a fish", "a frog", "a snail", "a bird"], "label": ["A", "B", "C", "D"]},
        "answerKey": "B",
    },
    {
        "id": "book-6",
        "question_stem": "The Moon seems to change its shape because",
        "choices": {
            "text": [
                "we see more or less of its lit side",
                "it grows and shrinks",
                "clouds eat it",
                "it turns its back on the Sun",
            ],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "A",
    },
    {
        "id": "book-7",
        "question_stem": "A bicycle that was left in the rain for a year is likely to",
        "choices": {"text": ["float", "shine", "sing", "rust"], "label": ["A", "B", "C", "D"]},
        "answerKey": "D",
    },
    {
        "id": "book-8",
        "question_stem": "Bees that visit flowers help the plants to",
        "choices": {"text": ["hide", "sleep", "make seeds", "catch flies"], "label": ["A", "B", "C", "D"]},
        "answerKey": "C",
    },
)

TASK = Task(
    name="openbookqa",
    about="How does a sentence on elementary science go on?",
    columns=("question_stem", "choices", "answerKey"),
    read=read,
    method=MultipleChoice(headline="acc_norm"),
    samples=SAMPLES,
    source=Source(
        "allenai/openbookqa",
        split="test",
        name="main",
        revision="388097ea7776314e93a529163e0fea805b8a6454",
        shots_split="train",
    ),
    id_column="id",
    references=(chance(4),),
)
