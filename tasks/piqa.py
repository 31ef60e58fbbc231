"""PIQA: which of two ways of doing an everyday thing works."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance, published_scores
from workbench.evals.task import Source, Task


def read(row: Row) -> Choices:
    """The goal as a question, and the two solutions."""
    choices = (row.text("sol1"), row.text("sol2"))
    return Choices(f"Question: {row.text('goal')}\nAnswer:", choices, row.gold("label", 0, 1))


SAMPLES = (
    {
        "goal": "To keep a door from slamming in the wind,",
        "sol1": "wedge a piece of rubber under it.",
        "sol2": "wedge a piece of butter under it.",
        "label": 0,
    },
    {
        "goal": "How do I dry wet shoes overnight?",
        "sol1": "Fill them with ice cubes and put them in a drawer.",
        "sol2": "Stuff them with newspaper and leave them in a warm room.",
        "label": 1,
    },
    {
        "goal": "peel garlic quickly",
        "sol1": "press each clove with the flat of a knife, then pull the skin off.",
        "sol2": "press each clove with a wet sponge, then blow the skin off.",
        "label": 0,
    },
    {
        "goal": "To find a small screw that fell on the carpet,",
        "sol1": "sweep a wooden spoon over the place.",
        "sol2": "sweep a magnet over the place.",
        "label": 1,
    },
    {
        "goal": "How can you stop a cutting board from sliding?",
        "sol1": "Lay a damp cloth beneath it.",
        "sol2": "Lay a sheet of baking paper beneath it.",
        "label": 0,
    },
    {
        "goal": "Water a plant while you are away for a week.",
        "sol1": "Turn the pot over and put a bottle next to it.",
        "sol2": "Turn a full bottle over and push its neck into the soil.",
        "label": 1,
    },
    {
        "goal": "To soften butter that comes straight from the fridge,",
        "sol1": "grate it onto a plate and wait a few minutes.",
        "sol2": "wrap it in foil and put it in the freezer.",
        "label": 0,
    },
    {
        "goal": "How do you cool a hot drink without thinning it?",
        "sol1": "Pour it from the cup into a thermos flask.",
        "sol2": "Pour it from one cup to another a few times.",
        "label": 1,
    },
    {
        "goal": "hang a picture straight",
        "sol1": "hold a spirit level along its upper edge.",
        "sol2": "hold a thermometer along its upper edge.",
        "label": 0,
    },
)

TASK = Task(
    name="piqa",
    about="Which of two ways of reaching an everyday goal works?",
    columns=("goal", "sol1", "sol2", "label"),
    read=read,
    method=MultipleChoice(),
    samples=SAMPLES,
    source=Source(
        "baber/piqa",
        split="validation",
        revision="142f6d7367fd9877f0fb3b5734ea6a545f54cdd1",
        shots_split="train",
    ),
    references=(
        *published_scores("piqa", "acc_norm", "Whether it is acc or acc_norm is not told; the better one was taken."),
        chance(2),
    ),
)
