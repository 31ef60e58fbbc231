"""WinoGrande: which of two names or things the blank of a sentence stands for."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance, published_scores
from workbench.evals.task import Source, Task


def read(row: Row) -> Choices:
    """The sentence up to the blank, once with each option; what is scored is the rest of it."""
    sentence, options = row.text("sentence"), (row.text("option1"), row.text("option2"))
    if "_" not in sentence:
        raise row.refused("sentence", "has no blank, which is written _")
    before, _, after = sentence.partition("_")
    return Choices(tuple(before + one for one in options), options, row.one_of("answer", ("1", "2")), after.strip())


SAMPLES = (
    {
        "sentence": "The suitcase did not fit under the bed because the _ was too low.",
        "option1": "suitcase",
        "option2": "bed",
        "answer": "2",
    },
    {
        "sentence": "The suitcase did not fit under the bed because the _ was too thick.",
        "option1": "suitcase",
        "option2": "bed",
        "answer": "1",
    },
    {
        "sentence": "Lena asked Nora for the recipe, since _ had baked such a good cake.",
        "option1": "Lena",
        "option2": "Nora",
        "answer": "2",
    },
    {
        "sentence": "Lena asked Nora for the recipe, since _ wanted to bake the cake at home.",
        "option1": "Lena",
        "option2": "Nora",
        "answer": "1",
    },
    {
        "sentence": "We used the rope and not the chain to hang the swing, as the _ was softer.",
        "option1": "rope",
        "option2": "chain",
        "answer": "1",
    },
    {
        "sentence": "We used the rope and not the chain to hang the swing, as the _ was rusty.",
        "option1": "rope",
        "option2": "chain",
        "answer": "2",
    },
    {
        "sentence": "Omar thanked Felix for the lift, because _ had missed the last bus.",
        "option1": "Omar",
        "option2": "Felix",
        "answer": "1",
    },
    {
        "sentence": "Omar thanked Felix for the lift, because _ had driven a long way round.",
        "option1": "Omar",
        "option2": "Felix",
        "answer": "2",
    },
)

TASK = Task(
    name="winogrande",
    about="Which of two options does the blank of a sentence stand for, by how likely the rest of it becomes?",
    columns=("sentence", "option1", "option2", "answer"),
    read=read,
    method=MultipleChoice(choices_in_prompt=True),
    samples=SAMPLES,
    source=Source(
        "allenai/winogrande",
        split="validation",
        name="winogrande_xl",
        revision="01e74176c63542e6b0bcb004dcdea22d94fb67b5",
        shots_split="train",
    ),
    references=(*published_scores("winogrande", "acc"), chance(2)),
)
