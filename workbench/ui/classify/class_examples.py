"""The examples that the Classify tab offers: each fills the texts, the labels, the template and the worked examples."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassExample:
    """A way of classifying that can be tried at once."""

    name: str
    labels: str
    template: str
    shots: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]
    """The first one is asked alone, all together as many texts."""
    calibration: str = "none"
    normalization: str = "none"


EXAMPLES = (
    ClassExample(
        name="Sentiment of a sentence",
        labels="positive, negative",
        template="Review: {text}\nSentiment:",
        shots=(
            ("A warm and funny film from beginning to end.", "positive"),
            ("Two hours that I shall never get back.", "negative"),
            ("The actors are wonderful and the music stays with you.", "positive"),
            ("Dull, noisy and far too long.", "negative"),
        ),
        texts=(
            "I laughed, I cried, and I want to see it again tomorrow.",
            "The story makes no sense and the jokes are stale.",
            "A beautiful little film with a great heart.",
            "Even my dog fell asleep.",
        ),
        calibration="contextual",
    ),
    ClassExample(
        name="Spam or not",
        labels="ham, spam",
        template="Message: {text}\nKind:",
        shots=(
            ("Are you coming to dinner on Sunday?", "ham"),
            ("WINNER!! You have won a free prize. Call now to claim it!", "spam"),
            ("Running late, see you at the station.", "ham"),
            ("Get 50% off all ringtones today. Text YES to 80082.", "spam"),
        ),
        texts=(
            "Congratulations! Claim your free holiday by calling this number today.",
            "Can you pick up some milk on your way home?",
            "URGENT! Your account will be closed. Reply with your password.",
            "Happy birthday, grandma! We will call you tonight.",
        ),
        calibration="domain",
    ),
    ClassExample(
        name="Kind of question",
        labels="person\nplace\nnumber\ntime\nreason",
        template="Question: {text}\nThe answer is a",
        shots=(
            ("Who wrote this letter?", "person"),
            ("Where do the swallows go in winter?", "place"),
            ("How many sisters did she have?", "number"),
            ("When did the ship come home?", "time"),
            ("Why did the boy run away?", "reason"),
        ),
        texts=(
            "Who stole the golden apples?",
            "Where did the old woman hide the key?",
            "How many years did the princess sleep?",
            "When will the train arrive?",
            "Why is the sea salt?",
        ),
    ),
    ClassExample(
        name="Happy or sad",
        labels="happy, sad",
        template="{text} He was very",
        shots=(),
        texts=(
            "The little boy got a new kite and ran laughing through the garden.",
            "The poor old man had lost his only friend, and he wept.",
            "They danced and sang until the moon was high.",
        ),
        normalization="pmi",
    ),
)
"""The first one is in the boxes when the page opens."""
