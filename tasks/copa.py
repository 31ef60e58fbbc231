"""COPA: which of two sentences is the cause, or the effect, of a third."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

CONNECTORS = {"cause": "because", "effect": "therefore"}


def read(row: Row) -> Choices:
    """The premise with a connector in place of its full stop, and the two sentences as they go on from there."""
    connector = tuple(CONNECTORS.values())[row.one_of("question", tuple(CONNECTORS))]
    sentences = (row.text("choice1"), row.text("choice2"))
    # A space in front, beside the one that comes before every choice: as lm-evaluation-harness has it.
    choices = tuple(f" {sentence[0].lower()}{sentence[1:]}" for sentence in sentences)
    return Choices(f"{row.text('premise').strip()[:-1]} {connector}", choices, row.gold("label", 0, 1))


SAMPLES = (
    {
        "premise": "The milk boiled over.",
        "choice1": "The cook answered the telephone.",
        "choice2": "The cook bought a new apron.",
        "question": "cause",
        "idx": 0,
        "label": 0,
    },
    {
        "premise": "The girl dropped her ice cream.",
        "choice1": "She ate it with a spoon.",
        "choice2": "She began to cry.",
        "question": "effect",
        "idx": 1,
        "label": 1,
    },
    {
        "premise": "The streets were covered with leaves.",
        "choice1": "It was a stormy autumn night.",
        "choice2": "The shops had opened early.",
        "question": "cause",
        "idx": 2,
        "label": 0,
    },
    {
        "premise": "The candle went out.",
        "choice1": "The room smelled of bread.",
        "choice2": "The room grew dark.",
        "question": "effect",
        "idx": 3,
        "label": 1,
    },
    {
        "premise": "The choir stopped singing.",
        "choice1": "The organist lost her place.",
        "choice2": "The benches were made of oak.",
        "question": "cause",
        "idx": 4,
        "label": 0,
    },
    {
        "premise": "He forgot to water the tomatoes.",
        "choice1": "The fence fell over.",
        "choice2": "The plants withered.",
        "question": "effect",
        "idx": 5,
        "label": 1,
    },
    {
        "premise": "I could not unlock the door.",
        "choice1": "I had taken the wrong key.",
        "choice2": "I had painted the door blue.",
        "question": "cause",
        "idx": 6,
        "label": 0,
    },
    {
        "premise": "The bus broke down on the hill.",
        "choice1": "The driver sold tickets.",
        "choice2": "The passengers walked the rest of the way.",
        "question": "effect",
        "idx": 7,
        "label": 1,
    },
)

TASK = Task(
    name="copa",
    about="Which of two sentences is the cause, or the effect, of a third?",
    columns=("premise", "choice1", "choice2", "question", "label"),
    read=read,
    method=MultipleChoice(),
    samples=SAMPLES,
    source=Source(
        "aps/super_glue",
        split="validation",
        name="copa",
        revision="3de24cf8022e94f4ee4b9d55a6f539891524d646",
        shots_split="train",
    ),
    id_column="idx",
    references=(chance(2),),
)
