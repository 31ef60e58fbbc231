"""The last word of a little story that the story gives away.

60 passages of two to four sentences, written for this project and held out from the training of the demo.
"""

from workbench.evals.data.rows import Row
from workbench.evals.data.shipped import shipped_rows
from workbench.evals.methods.cloze import Cloze, Ending
from workbench.evals.task import Task


def read(row: Row) -> Ending:
    """All but the last word, and the last word with its space."""
    begun, _, word = row.text("text").rpartition(" ")
    return Ending(begun, f" {word}")


TASK = Task(
    name="our_cloze",
    about="What is the last word of a little story? Written for this project; the demo was not trained on it.",
    columns=("text",),
    read=read,
    method=Cloze(),
    samples=shipped_rows(__file__),
    complete=True,
)
