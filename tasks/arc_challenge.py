"""ARC, the challenge set: science questions that looking up words does not answer."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task


def read(row: Row) -> Choices:
    """The question and its answers, named by letters in some rows and by digits in others."""
    texts, labels = row.lists("choices", "text", "label")
    return Choices(f"Question: {row.text('question')}\nAnswer:", texts, row.one_of("answerKey", labels))


SAMPLES = (
    {
        "id": "hard-1",
        "question": "A bottle full of water cracks in the freezer. Why?",
        "choices": {
            "text": [
                "Glass gets heavier in the cold.",
                "Water takes up more room as it freezes.",
                "Cold air pushes on the glass from inside.",
                "Ice is harder than any glass.",
            ],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "B",
    },
    {
        "id": "hard-2",
        "question": "Two balls of the same size, one of wood and one of iron, roll down the same slope. Which "
        "property differs most between them?",
        "choices": {"text": ["volume", "shape", "mass", "colour"], "label": ["A", "B", "C", "D"]},
        "answerKey": "C",
    },
    {
        "id": "hard-3",
        "question": "A plant on a window sill bends towards the glass. What does this help it to do?",
        "choices": {
            "text": ["catch more light", "lose more water", "keep its roots warm", "drop its seeds"],
            "label": ["1", "2", "3", "4"],
        },
        "answerKey": "1",
    },
    {
        "id": "hard-4",
        "question": "Fossils of sea shells are found on a mountain. What do they show best?",
        "choices": {
            "text": [
                "Birds carried them up.",
                "The mountain was always dry.",
                "Shells grow in rock.",
                "The rock was once under the sea.",
            ],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "D",
    },
    {
        "id": "hard-5",
        "question": "Which change would make a circuit's lamp shine less brightly?",
        "choices": {
            "text": ["a second battery in line", "a longer and thinner wire", "a cleaner switch", "a thicker wire"],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "B",
    },
    {
        "id": "hard-6",
        "question": "Foxes disappear from an island on which they hunted rabbits. What happens first?",
        "choices": {
            "text": [
                "The grass grows taller.",
                "The rabbits die out.",
                "There are more rabbits.",
                "Other foxes are born.",
            ],
            "label": ["1", "2", "3", "4"],
        },
        "answerKey": "3",
    },
    {
        "id": "hard-7",
        "question": "Why does a metal spoon feel colder than a wooden one in the same room?",
        "choices": {
            "text": [
                "Metal carries heat away from the hand faster.",
                "Metal is always colder than wood.",
                "Wood makes its own heat.",
                "Wood is lighter.",
            ],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "A",
    },
    {
        "id": "hard-8",
        "question": "A student times a swing ten times and takes the mean. Why?",
        "choices": {
            "text": [
                "to make the swing slower",
                "to use all of the paper",
                "to prove that she is right",
                "to make chance errors matter less",
            ],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "D",
    },
    {
        "id": "hard-9",
        "question": "On which day is the Sun at noon lowest in the north of Europe?",
        "choices": {"text": ["midsummer", "midwinter", "the first of April"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    },
)

TASK = Task(
    name="arc_challenge",
    about="Which answer to a hard science question is right?",
    columns=("question", "choices", "answerKey"),
    read=read,
    method=MultipleChoice(headline="acc_norm"),
    samples=SAMPLES,
    source=Source(
        "allenai/ai2_arc",
        split="test",
        name="ARC-Challenge",
        revision="210d026faf9955653af8916fad021475a3f00453",
        shots_split="train",
    ),
    id_column="id",
    references=(chance(4),),
)
