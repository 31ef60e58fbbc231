"""Classification with a file of your own: texts with their labels, whatever the labels are."""

from collections.abc import Sequence

from workbench.errors import BadRequest
from workbench.evals.data.rows import Row
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.labels import TextExample
from workbench.evals.task import Task


def read(row: Row) -> TextExample:
    """Columns: text; label, in words that a reader would use of the text."""
    return TextExample(row.identity("id"), row.text("text"), row.text("label").strip())


def fitted(rows: Sequence[Row]) -> Classification:
    """Asks for the labels that occur, in alphabetical order."""
    labels = tuple(sorted({row.text("label").strip() for row in rows}))
    if len(labels) < 2:
        raise BadRequest(f"The column label must hold at least two different labels; it holds {labels[0]!r} alone.")
    return Classification(labels)


SAMPLES = (
    {"text": "The kitchen tap drips all night.", "label": "plumbing"},
    {"text": "The lamp in the hall flickers and then goes out.", "label": "electricity"},
    {"text": "There is a puddle under the washbasin.", "label": "plumbing"},
    {"text": "A branch has broken two tiles.", "label": "roof"},
    {"text": "The doorbell does not ring.", "label": "electricity"},
    {"text": "Rain comes in above the attic stairs.", "label": "roof"},
    {"text": "The bath empties too slowly.", "label": "plumbing"},
    {"text": "Two sockets in the kitchen are dead.", "label": "electricity"},
    {"text": "The gutter hangs down at one end.", "label": "roof"},
)

TASK = Task(
    name="own_classification",
    about="Classification with a file of your own: text, label (in words; all that occur are asked for).",
    columns=("text", "label"),
    read=read,
    method=Classification(("electricity", "plumbing", "roof")),
    samples=SAMPLES,
    id_column="id",
    fitted=fitted,
)
