"""Sentiment of everyday sentences: weather, food, trips, toys, stories.

80 sentences, half of them positive, written for this project and held out from the training of the demo.
"""

from workbench.evals.data.rows import Row
from workbench.evals.data.shipped import shipped_rows
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.labels import TextExample
from workbench.evals.published_scores import chance
from workbench.evals.task import Task

LABELS = ("negative", "positive")


def read(row: Row) -> TextExample:
    """The sentence and its label."""
    return TextExample(row.identity(None), row.text("sentence"), LABELS[row.gold("label", 0, len(LABELS) - 1)])


TASK = Task(
    name="our_sentiment",
    about="Is an everyday sentence positive or negative? Written for this project; the demo was not trained on it.",
    columns=("sentence", "label"),
    read=read,
    # In the words of sst2, so that what a model makes of the two can be set side by side.
    method=Classification(LABELS, "{text}\nQuestion: Is this sentence positive or negative?\nAnswer:"),
    samples=shipped_rows(__file__),
    complete=True,
    references=(chance(len(LABELS)),),
)
