"""SciQ: exam questions on science, with a passage that supports the answer."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

ANSWERS = ("distractor1", "distractor2", "distractor3", "correct_answer")


def read(row: Row) -> Choices:
    """Passage and question; the right answer comes last, as lm-evaluation-harness has it."""
    prompt = f"{row.text('support', empty=True).lstrip()}\nQuestion: {row.text('question')}\nAnswer:"
    return Choices(prompt, tuple(row.text(name) for name in ANSWERS), ANSWERS.index("correct_answer"))


SAMPLES = (
    {
        "question": "What gas do plants take from the air to make sugar?",
        "distractor1": "nitrogen",
        "distractor2": "helium",
        "distractor3": "neon",
        "correct_answer": "carbon dioxide",
        "support": "Green leaves make sugar out of water and carbon dioxide. The light of the Sun gives the energy "
        "for it.",
    },
    {
        "question": "What is the hard outer layer of a tooth called?",
        "distractor1": "marrow",
        "distractor2": "cartilage",
        "distractor3": "keratin",
        "correct_answer": "enamel",
        "support": "A tooth is covered by enamel, the hardest substance in the body. Below it lies the softer dentine.",
    },
    {
        "question": "Which force pulls a thrown ball back to the ground?",
        "distractor1": "friction",
        "distractor2": "magnetism",
        "distractor3": "tension",
        "correct_answer": "gravity",
        "support": "   Whatever is thrown up comes down again. Gravity pulls it towards the middle of the Earth.",
    },
    {
        "question": "What do we call an animal that eats both plants and meat?",
        "distractor1": "herbivore",
        "distractor2": "carnivore",
        "distractor3": "parasite",
        "correct_answer": "omnivore",
        "support": "",
    },
    {
        "question": "What kind of rock forms when lava cools?",
        "distractor1": "sedimentary rock",
        "distractor2": "sandstone",
        "distractor3": "chalk",
        "correct_answer": "igneous rock",
        "support": "Igneous rock forms from molten rock. Where lava cools fast, its crystals stay small.",
    },
    {
        "question": "Which organ cleans the blood of waste?",
        "distractor1": "spleen",
        "distractor2": "pancreas",
        "distractor3": "bladder",
        "correct_answer": "kidney",
        "support": "Each kidney filters the blood many times a day. What it takes out leaves the body with water.",
    },
    {
        "question": "What is the distance from one crest of a wave to the next?",
        "distractor1": "amplitude",
        "distractor2": "frequency",
        "distractor3": "pitch",
        "correct_answer": "wavelength",
        "support": "Every wave has a height and a length. The wavelength is measured from crest to crest.",
    },
    {
        "question": "What do bees collect to make honey?",
        "distractor1": "dew",
        "distractor2": "resin",
        "distractor3": "sap",
        "correct_answer": "nectar",
        "support": "Bees fly from flower to flower and fill their honey stomach with nectar.",
    },
)

TASK = Task(
    name="sciq",
    about="Which answer to a science question is right, with a passage that supports it?",
    columns=("question", *ANSWERS, "support"),
    read=read,
    method=MultipleChoice(),
    samples=SAMPLES,
    source=Source(
        "allenai/sciq",
        split="test",
        revision="2c94ad3e1aafab77146f384e23536f97a4849815",
        shots_split="train",
    ),
    references=(chance(4),),
)
