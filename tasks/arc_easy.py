"""ARC, the easy set: questions of primary-school science."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task


def read(row: Row) -> Choices:
    """The question and its answers, named by letters in some rows and by digits in others."""
    texts, labels = row.lists("choices", "text", "label")
    return Choices(f"Question: {row.text('question')}\nAnswer:", texts, row.one_of("answerKey", labels))


SAMPLES = (
    {
        "id": "easy-1",
        "question": "What do the roots of a plant take in from the soil?",
        "choices": {"text": ["light", "water", "leaves", "wind"], "label": ["A", "B", "C", "D"]},
        "answerKey": "B",
    },
    {
        "id": "easy-2",
        "question": "Which of these is a source of light?",
        "choices": {"text": ["the Moon", "a mirror", "the Sun", "a window"], "label": ["A", "B", "C", "D"]},
        "answerKey": "C",
    },
    {
        "id": "easy-3",
        "question": "What happens to ice that is left in a warm room?",
        "choices": {"text": ["It melts.", "It freezes.", "It rusts.", "It grows."], "label": ["1", "2", "3", "4"]},
        "answerKey": "1",
    },
    {
        "id": "easy-4",
        "question": "Which tool measures how warm the air is?",
        "choices": {"text": ["a ruler", "a scale", "a compass", "a thermometer"], "label": ["A", "B", "C", "D"]},
        "answerKey": "D",
    },
    {
        "id": "easy-5",
        "question": "Which animal hatches from an egg?",
        "choices": {"text": ["a horse", "a duck", "a whale", "a cat"], "label": ["A", "B", "C", "D"]},
        "answerKey": "B",
    },
    {
        "id": "easy-6",
        "question": "Why can a nail be picked up with a magnet?",
        "choices": {
            "text": ["It is sharp.", "It is long.", "It is made of iron.", "It is cold."],
            "label": ["1", "2", "3", "4"],
        },
        "answerKey": "3",
    },
    {
        "id": "easy-7",
        "question": "How long does the Earth take to turn once around itself?",
        "choices": {"text": ["a day", "a week", "a month", "a year"], "label": ["A", "B", "C", "D"]},
        "answerKey": "A",
    },
    {
        "id": "easy-8",
        "question": "Which part of the body pumps blood?",
        "choices": {"text": ["the lungs", "the stomach", "the skin", "the heart"], "label": ["A", "B", "C", "D"]},
        "answerKey": "D",
    },
    {
        "id": "easy-9",
        "question": "Which material lets electricity pass most easily?",
        "choices": {"text": ["rubber", "copper", "wood"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    },
)

TASK = Task(
    name="arc_easy",
    about="Which answer to an easy science question is right?",
    columns=("question", "choices", "answerKey"),
    read=read,
    method=MultipleChoice(headline="acc_norm"),
    samples=SAMPLES,
    source=Source(
        "allenai/ai2_arc",
        split="test",
        name="ARC-Easy",
        revision="210d026faf9955653af8916fad021475a3f00453",
        shots_split="train",
    ),
    id_column="id",
    references=(chance(4),),
)
