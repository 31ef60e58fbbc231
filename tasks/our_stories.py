"""Which of two sentences ends a little story; both are of like length, and only one follows from what was told.

60 stories, written for this project and held out from the training of the demo.
"""

from workbench.evals.data.rows import Row
from workbench.evals.data.shipped import shipped_rows
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Task


def read(row: Row) -> Choices:
    """The story so far, and its two endings."""
    endings = row.texts("endings", least=2)
    return Choices(row.text("story"), endings, row.gold("label", 0, len(endings) - 1))


TASK = Task(
    name="our_stories",
    about="Which of two sentences ends a little story? Written for this project; the demo was not trained on it.",
    columns=("story", "endings", "label"),
    read=read,
    method=MultipleChoice(),
    samples=shipped_rows(__file__),
    complete=True,
    references=(chance(2),),
)
