"""Perplexity of texts of your own."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.perplexity import Document, Perplexity
from workbench.evals.task import Task


def read(row: Row) -> Document:
    """Column: text, scored as it is."""
    return Document(row.text("text"))


SAMPLES = (
    {"text": "The frog sat on a stone and looked at the rain. It did not mind the rain at all."},
    {
        "text": "Dear Sir, I have received your letter of the third of May and shall answer it as soon as the snow is "
        "gone.",
    },
    {"text": "Beat two eggs with a pinch of salt, add the flour, and let the dough rest for half an hour."},
    {"text": "Trains to the coast leave from platform four at ten past every hour."},
    {"text": "def area(width, height):\n    return width * height\n"},
    {"text": "There was once a king who had three daughters, and the youngest of them could talk to birds."},
    {"text": "Minutes of the meeting: the roof was discussed again. It was decided to ask for a second offer."},
    {"text": "The mixture turns blue as soon as the last drop of acid is neutralised."},
)

TASK = Task(
    name="own_perplexity",
    about="Perplexity of a file of your own: text, each row a document.",
    columns=("text",),
    read=read,
    method=Perplexity(),
    samples=SAMPLES,
    id_column="id",
)
