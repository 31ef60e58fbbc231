"""Cloze with a file of your own: a text, and how it ends."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.cloze import Cloze, Ending
from workbench.evals.task import Task


def read(row: Row) -> Ending:
    """Columns: text, without its ending; ending, which follows after a space."""
    return Ending(row.text("text").rstrip(), f" {row.text('ending').strip()}")


SAMPLES = (
    {"text": "The sun rises in the", "ending": "east"},
    {"text": "One, two, three, four,", "ending": "five"},
    {"text": "She was so tired that she went to", "ending": "bed"},
    {"text": "Bees make", "ending": "honey"},
    {"text": "The opposite of hot is", "ending": "cold"},
    {"text": "He put on his coat and his hat and opened the", "ending": "door"},
    {"text": "Once upon a", "ending": "time"},
    {"text": "A week has seven", "ending": "days"},
)

TASK = Task(
    name="own_cloze",
    about="Cloze with a file of your own: text (without its ending), ending.",
    columns=("text", "ending"),
    read=read,
    method=Cloze(delimiter=""),
    samples=SAMPLES,
    id_column="id",
)
