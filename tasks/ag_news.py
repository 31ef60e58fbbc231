"""AG News: which part of a newspaper an item belongs to."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.labels import TextExample
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

LABELS = ("World", "Sports", "Business", "Technology")


def read(row: Row) -> TextExample:
    """The item and its label, in the order of the data set's class numbers; its fourth is Sci/Tech there."""
    return TextExample(row.identity(None), row.text("text"), LABELS[row.gold("label", 0, len(LABELS) - 1)])


SAMPLES = (
    {
        "text": "Border talks resume Envoys of both countries met in the mountain town for the third time this year "
        "and spoke of progress.",
        "label": 0,
    },
    {
        "text": "Late goal sends Harriers up A header in the last minute gave the Harriers the point that they needed "
        "for promotion.",
        "label": 1,
    },
    {
        "text": "Grocer lifts forecast The chain said that it expects higher profits this year as more customers buy "
        "its own brands.",
        "label": 2,
    },
    {
        "text": "New lens sees through fog Engineers have shown a camera whose lens sorts out light that droplets "
        "have scattered.",
        "label": 3,
    },
    {
        "text": "Island votes after storm Polling stations opened a week late on the island, where many roads are "
        "still under water.",
        "label": 0,
    },
    {
        "text": "Skater breaks own record On fast ice she took two tenths of a second off the mark that she had set "
        "in January.",
        "label": 1,
    },
    {
        "text": "Bank to close branches The bank will shut a tenth of its branches by spring, since most customers "
        "use their telephones.",
        "label": 2,
    },
    {
        "text": "Probe reaches comet After nine years the spacecraft has sent its first pictures of a dark and "
        "crumbling surface.",
        "label": 3,
    },
)

TASK = Task(
    name="ag_news",
    about="Is an item of news about the world, sports, business or technology?",
    columns=("text", "label"),
    read=read,
    method=Classification(LABELS, "Article: {text}\nTopic:"),
    samples=SAMPLES,
    source=Source(
        "fancyzhx/ag_news",
        split="test",
        revision="eb185aade064a813bc0b7f42de02595523103ca4",
        shots_split="train",
    ),
    references=(chance(len(LABELS)),),
)
