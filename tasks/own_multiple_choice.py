"""Multiple choice with a file of your own: a question, its choices, and which of them is right."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.task import Task


def read(row: Row) -> Choices:
    """Columns: question; choices, a list (in CSV a JSON list); label, the right choice's number, counted from 0."""
    choices = row.texts("choices", least=2)
    return Choices(f"Question: {row.text('question')}\nAnswer:", choices, row.gold("label", 0, len(choices) - 1))


SAMPLES = (
    {"question": "Which month comes after May?", "choices": ["April", "June", "July"], "label": 1},
    {"question": "What is a baby cat called?", "choices": ["a kitten", "a puppy", "a calf", "a cub"], "label": 0},
    {"question": "What do you wear on your feet?", "choices": ["gloves", "a scarf", "shoes"], "label": 2},
    {"question": "Which of these is the largest?", "choices": ["a mouse", "an elephant"], "label": 1},
    {"question": "What colour is the sky on a clear day?", "choices": ["blue", "green", "brown", "black"], "label": 0},
    {"question": "How many legs has a spider?", "choices": ["four", "six", "eight"], "label": 2},
    {"question": "Where do fish live?", "choices": ["in water", "in trees", "in books"], "label": 0},
    {"question": "What do you need to cut paper?", "choices": ["a spoon", "a pillow", "scissors", "a cup"], "label": 2},
)

TASK = Task(
    name="own_multiple_choice",
    about="Multiple choice with a file of your own: question, choices (a list), label (counted from 0).",
    columns=("question", "choices", "label"),
    read=read,
    method=MultipleChoice(headline="acc_norm"),
    samples=SAMPLES,
    id_column="id",
)
