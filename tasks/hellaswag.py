"""HellaSwag: which of four endings goes on with what happens."""

import re

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.published_scores import chance, published_scores
from workbench.evals.task import Reference, Source, Task


def cleaned(text: str) -> str:
    """A text without the marks that WikiHow's pages left in it."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def read(row: Row) -> Choices:
    """What happens, and four ways to go on."""
    begun = f"{row.text('ctx_a', empty=True)} {row.text('ctx_b', empty=True).capitalize()}"
    endings = tuple(cleaned(ending) for ending in row.texts("endings", least=2))
    return Choices(cleaned(f"{row.text('activity_label')}: {begun}"), endings, row.gold("label", 0, len(endings) - 1))


SAMPLES = (
    {
        "activity_label": "Baking bread",
        "ctx_a": "A woman kneads dough on a wooden table.",
        "ctx_b": "she",
        "endings": [
            "puts it in a bowl and covers it with a cloth.",
            "throws the table out of the window.",
            "reads the dough a letter and falls asleep.",
            "paints the bowl while the dough sings.",
        ],
        "label": "0",
    },
    {
        "activity_label": "Washing a dog",
        "ctx_a": "A man kneels beside a tub with a wet dog in it.",
        "ctx_b": "the dog",
        "endings": [
            "drives the man to the station.",
            "pours the tub a cup of tea.",
            "shakes itself and splashes water over the floor.",
            "folds the towels by their colours.",
        ],
        "label": "2",
    },
    {
        "activity_label": "Home and Garden",
        "ctx_a": "How to plant a bulb [title] Dig the hole. [step] Make it three times as deep as the bulb is high.",
        "ctx_b": "",
        "endings": [
            "[substeps] Fill the hole with bread and call a friend.",
            "Set the bulb in with its tip up and  cover it with soil.",
            "Hang the bulb from the ceiling by a thread. [step] Wait.",
            "Ask the bulb how deep it would like to be.",
        ],
        "label": "1",
    },
    {
        "activity_label": "Playing the violin",
        "ctx_a": "A girl lifts a violin to her shoulder.",
        "ctx_b": "she",
        "endings": [
            "eats the bow slowly.",
            "fills the violin with sand.",
            "hides behind the violin and sells it.",
            "draws the bow across the strings.",
        ],
        "label": "3",
    },
    {
        "activity_label": "Changing a tyre",
        "ctx_a": "A driver loosens the nuts of a flat wheel and jacks up the car.",
        "ctx_b": "he",
        "endings": [
            "takes the wheel off and fits the spare one.",
            "waters the wheel until it grows.",
            "puts the jack in the oven.",
            "climbs onto the roof and rows away.",
        ],
        "label": "0",
    },
    {
        "activity_label": "Ice skating",
        "ctx_a": "Two children hold hands at the edge of a frozen pond.",
        "ctx_b": "they",
        "endings": [
            "dive to the bottom and come up with pearls.",
            "step onto the ice and glide a few careful metres.",
            "roll the pond up like a carpet.",
            "plant tomatoes between their skates.",
        ],
        "label": "1",
    },
    {
        "activity_label": "Mowing the lawn",
        "ctx_a": "A boy pulls the cord of a lawn mower until it starts.",
        "ctx_b": "he",
        "endings": [
            "combs his hair with the blades.",
            "carries the grass to school in a bag of milk.",
            "pushes it up and down the garden in straight lines.",
            "asks the mower for a second helping.",
        ],
        "label": "2",
    },
    {
        "activity_label": "Health",
        "ctx_a": "How to calm a cough [title] Drink something warm. [step] Tea with honey soothes the throat.",
        "ctx_b": "sip",
        "endings": [
            "it through a straw made of snow.",
            "only while standing on one leg in the rain.",
            "the cup itself, and then the saucer.",
            "it slowly, and rest your voice for a while.",
        ],
        "label": "3",
    },
)

INDEPENDENT = (
    "An independent zero-shot run with EleutherAI's lm-evaluation-harness (its issue 372); standard error {stderr}."
)

TASK = Task(
    name="hellaswag",
    about="Which of four endings goes on with what happens?",
    columns=("activity_label", "ctx_a", "ctx_b", "endings", "label"),
    read=read,
    method=MultipleChoice(headline="acc_norm"),
    samples=SAMPLES,
    source=Source(
        "Rowan/hellaswag",
        split="validation",
        revision="218ec52e09a7e7462a5400043bb9a69a41d06b76",
        shots_split="train",
    ),
    references=(
        *published_scores("hellaswag", "acc_norm", "It is acc_norm, as an independent run shows."),
        Reference("GPT-J-6B", "acc", 0.4954, INDEPENDENT.format(stderr="0.0050")),
        Reference("GPT-J-6B", "acc_norm", 0.6625, INDEPENDENT.format(stderr="0.0047")),
        chance(4),
    ),
)
