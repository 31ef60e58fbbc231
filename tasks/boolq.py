"""BoolQ: yes or no, by what a passage says."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task


def read(row: Row) -> Choices:
    """Passage and question, which has no question mark in the data."""
    prompt = f"{row.text('passage')}\nQuestion: {row.text('question')}?\nAnswer:"
    return Choices(prompt, ("no", "yes"), row.gold("label", 0, 1))


SAMPLES = (
    {
        "question": "can you walk across the harbour bridge",
        "passage": "Harbour Bridge -- The bridge carries two lanes and a railway. A footpath on its eastern side is "
        "open to walkers from sunrise to ten at night.",
        "idx": 0,
        "label": 1,
    },
    {
        "question": "is the tower of saint olaf still standing",
        "passage": "Saint Olaf's Church -- Its tower burned down in 1809 and was never rebuilt. Services are held in "
        "the nave, which was spared.",
        "idx": 1,
        "label": 0,
    },
    {
        "question": "do snow hares keep their white coat in summer",
        "passage": "Snow hare -- In winter the coat is white. It turns brown in spring and stays so until the first "
        "snow.",
        "idx": 2,
        "label": 0,
    },
    {
        "question": "was the first edition of the almanac printed in two colours",
        "passage": "Farmer's almanac -- The first edition had red feast days among black ones, which took two runs of "
        "the press for each sheet.",
        "idx": 3,
        "label": 1,
    },
    {
        "question": "does the night train stop at elmsford",
        "passage": "Night Express -- The train leaves the capital at eleven. It calls at Ashby, Elmsford and Port "
        "Lane, where the carriages for the ferry are taken off.",
        "idx": 4,
        "label": 1,
    },
    {
        "question": "is rhubarb a fruit",
        "passage": "Rhubarb -- Rhubarb is cooked like a fruit and sold beside it. To a botanist it is a vegetable, "
        "since its stalks are eaten.",
        "idx": 5,
        "label": 0,
    },
    {
        "question": "did the long winter of 1740 freeze the lake",
        "passage": "Lake Morn -- The lake has frozen over four times since records began: in 1684, 1740, 1830 and "
        "1963.",
        "idx": 6,
        "label": 1,
    },
    {
        "question": "are visitors allowed to feed the swans",
        "passage": "Swan Park -- Bread makes the birds ill and fouls the pond. Since 2011 signs at every gate forbid "
        "visitors to feed the swans.",
        "idx": 7,
        "label": 0,
    },
)

TASK = Task(
    name="boolq",
    about="Is the answer to a question yes or no, by what a passage says?",
    columns=("question", "passage", "label"),
    read=read,
    method=MultipleChoice(),
    samples=SAMPLES,
    source=Source(
        "aps/super_glue",
        split="validation",
        name="boolq",
        revision="3de24cf8022e94f4ee4b9d55a6f539891524d646",
        shots_split="train",
    ),
    id_column="idx",
    references=(chance(2),),
    version=2,
)
