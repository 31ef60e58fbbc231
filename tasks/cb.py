"""CommitmentBank: whether somebody who says something holds a part of it to be true."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

ANSWERS = ("True", "False", "Neither")


def read(row: Row) -> Choices:
    """What is said, and whether the hypothesis is true."""
    prompt = f"{row.text('premise')}\nQuestion: {row.text('hypothesis')}. True, False, or Neither?\nAnswer:"
    return Choices(prompt, ANSWERS, row.gold("label", 0, len(ANSWERS) - 1))


SAMPLES = (
    {
        "premise": "Ruth put the letter back into its envelope. She knew that her brother had read it.",
        "hypothesis": "her brother had read it",
        "idx": 0,
        "label": 0,
    },
    {
        "premise": "A: Shall we take the boat? B: I don't think the wind is strong enough for it.",
        "hypothesis": "the wind is strong enough for it",
        "idx": 1,
        "label": 1,
    },
    {
        "premise": "They asked the old man about the well. Perhaps he would say that it had always been dry.",
        "hypothesis": "the well had always been dry",
        "idx": 2,
        "label": 2,
    },
    {
        "premise": "The inspector smiled. It annoyed him that the window had been left open.",
        "hypothesis": "the window had been left open",
        "idx": 3,
        "label": 0,
    },
    {
        "premise": "Nothing in the garden was in flower. No one could say that spring had come early.",
        "hypothesis": "spring had come early",
        "idx": 4,
        "label": 1,
    },
    {
        "premise": "If the teacher finds out that we have been swimming, she will write to our parents.",
        "hypothesis": "the teacher has found out",
        "idx": 5,
        "label": 2,
    },
    {
        "premise": "It was a pity, thought Leo, that the circus had already left.",
        "hypothesis": "the circus had already left",
        "idx": 6,
        "label": 0,
    },
    {
        "premise": "Was it true what they said at the market? Do you believe that the mill is haunted?",
        "hypothesis": "the mill is haunted",
        "idx": 7,
        "label": 2,
    },
    {
        "premise": "She never imagined that the parcel was for her, and indeed it was for her aunt.",
        "hypothesis": "the parcel was for her",
        "idx": 8,
        "label": 1,
    },
)

TASK = Task(
    name="cb",
    about="Does somebody who says something hold a part of it to be true?",
    columns=("premise", "hypothesis", "label"),
    read=read,
    method=MultipleChoice(classes=len(ANSWERS)),
    samples=SAMPLES,
    source=Source(
        "aps/super_glue",
        split="validation",
        name="cb",
        revision="3de24cf8022e94f4ee4b9d55a6f539891524d646",
        shots_split="train",
    ),
    id_column="idx",
    references=(chance(len(ANSWERS)),),
)
