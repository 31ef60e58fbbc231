"""RTE: whether one sentence follows from another."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task


def read(row: Row) -> Choices:
    """The first sentence, and whether the second is true."""
    prompt = f"{row.text('sentence1')}\nQuestion: {row.text('sentence2')} True or False?\nAnswer:"
    return Choices(prompt, ("True", "False"), row.gold("label", 0, 1))


SAMPLES = (
    {
        "sentence1": "The bakery on Mill Street, which opened in 1921, closed its doors on Friday.",
        "sentence2": "The bakery on Mill Street closed on Friday.",
        "label": 0,
        "idx": 0,
    },
    {
        "sentence1": "Ines Marlow finished second in the marathon, four seconds behind the winner.",
        "sentence2": "Ines Marlow won the marathon.",
        "label": 1,
        "idx": 1,
    },
    {
        "sentence1": "Heavy rain washed away the footbridge at Cold Ford, and hikers must take the road.",
        "sentence2": "The footbridge at Cold Ford is gone.",
        "label": 0,
        "idx": 2,
    },
    {
        "sentence1": "The museum lent two of its five globes to a school.",
        "sentence2": "The museum has given all of its globes away.",
        "label": 1,
        "idx": 3,
    },
    {
        "sentence1": "Before he became a painter, Aldo Renn taught mathematics in Turin for ten years.",
        "sentence2": "Aldo Renn was a teacher.",
        "label": 0,
        "idx": 4,
    },
    {
        "sentence1": "The council talked about a new swimming pool, but put off its decision until May.",
        "sentence2": "The council decided to build a swimming pool.",
        "label": 1,
        "idx": 5,
    },
    {
        "sentence1": "Both lighthouses on the island run on solar power since last summer.",
        "sentence2": "The island has lighthouses.",
        "label": 0,
        "idx": 6,
    },
    {
        "sentence1": "Nobody was hurt when a crane fell onto an empty car park in Dorn.",
        "sentence2": "Several people were hurt in Dorn.",
        "label": 1,
        "idx": 7,
    },
)

TASK = Task(
    name="rte",
    about="Does one sentence follow from another?",
    columns=("sentence1", "sentence2", "label"),
    read=read,
    method=MultipleChoice(),
    samples=SAMPLES,
    source=Source(
        "nyu-mll/glue",
        split="validation",
        name="rte",
        revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
        shots_split="train",
    ),
    id_column="idx",
    references=(chance(2),),
)
