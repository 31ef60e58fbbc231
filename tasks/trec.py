"""TREC: what kind of answer a question asks for, in six coarse classes."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.labels import TextExample
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

LABELS = ("abbreviation", "entity", "description", "human", "location", "number")


def read(row: Row) -> TextExample:
    """The question and its label, in the order of the data set's class numbers."""
    return TextExample(row.identity(None), row.text("text"), LABELS[row.gold("coarse_label", 0, len(LABELS) - 1)])


SAMPLES = (
    {"text": "What does the abbreviation FAQ stand for ?", "coarse_label": 0, "fine_label": 1},
    {"text": "What animal has the longest neck ?", "coarse_label": 1, "fine_label": 2},
    {"text": "Why do cats purr ?", "coarse_label": 2, "fine_label": 27},
    {"text": "Who painted the ceiling of the town hall ?", "coarse_label": 3, "fine_label": 29},
    {"text": "Where is the oldest library of Wales ?", "coarse_label": 4, "fine_label": 35},
    {"text": "How many steps lead up to the lighthouse ?", "coarse_label": 5, "fine_label": 39},
    {"text": "What is the definition of an isthmus ?", "coarse_label": 2, "fine_label": 24},
    {"text": "What river flows through Prague ?", "coarse_label": 4, "fine_label": 35},
    {"text": "When was the first railway opened ?", "coarse_label": 5, "fine_label": 40},
)

TASK = Task(
    name="trec",
    about="What kind of answer does a question ask for?",
    columns=("text", "coarse_label"),
    read=read,
    method=Classification(LABELS, "Question: {text}\nThe answer is a kind of"),
    samples=SAMPLES,
    source=Source(
        "CogComp/trec",
        split="test",
        # The Hub's own conversion to Parquet: the main branch holds a script, which no library runs any more.
        revision="65752bf53af25bc935a0dce92fb5b6c930728450",
        shots_split="train",
    ),
    references=(chance(len(LABELS)),),
)
