"""SST-2: whether a sentence of a film review is positive."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.labels import TextExample
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

LABELS = ("negative", "positive")


def read(row: Row) -> TextExample:
    """The sentence and its label."""
    return TextExample(row.identity("idx"), row.text("sentence"), LABELS[row.gold("label", 0, len(LABELS) - 1)])


SAMPLES = (
    {"sentence": "a quiet , generous film that earns every one of its smiles . ", "label": 1, "idx": 0},
    {"sentence": "the plot limps from one stale joke to the next . ", "label": 0, "idx": 1},
    {"sentence": "you will want to call your grandmother when the lights go up . ", "label": 1, "idx": 2},
    {"sentence": "two hours of shouting , and nobody has anything to say . ", "label": 0, "idx": 3},
    {"sentence": "its landscapes are so lovely that one forgives the slow middle . ", "label": 1, "idx": 4},
    {"sentence": "the music tells you what to feel because the actors do not . ", "label": 0, "idx": 5},
    {"sentence": "sharp , funny and over too soon . ", "label": 1, "idx": 6},
    {"sentence": "a sequel that no one had asked for and no one will remember . ", "label": 0, "idx": 7},
)

TASK = Task(
    name="sst2",
    about="Is a sentence of a film review positive or negative?",
    columns=("sentence", "label"),
    read=read,
    method=Classification(LABELS, "{text}\nQuestion: Is this sentence positive or negative?\nAnswer:"),
    samples=SAMPLES,
    source=Source(
        "nyu-mll/glue",
        split="validation",
        name="sst2",
        revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
        shots_split="train",
    ),
    id_column="idx",
    references=(chance(len(LABELS)),),
)
