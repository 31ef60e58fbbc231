"""The questions and passages that the Answer tab offers, in our own words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Passage:
    """A chip of the tab: its label, a question and the passage that answers it, or does not."""

    label: str
    question: str
    text: str


_FERRY = (
    "The old ferry across the Lune was built in 1904 by two brothers, Aldous and Piet Maarten, who had never seen the "
    "sea. It carried forty people, or six cows and a farmer. For thirty years it left the mill at seven every "
    "morning, until the stone bridge opened in the spring of 1937 and nobody needed it any more. The brothers sold the "
    "engine to a printer in Halden, who drove his presses with it, and the hull became the roof of a boathouse."
)

_FOX = (
    "A fox once fell into a well and could not climb out. A thirsty goat came by and asked whether the water was "
    "good. “The best in the valley,” said the fox, and the goat jumped in. When it had drunk its fill, the fox stepped "
    "on its back and then on its horns, and sprang out of the well. “If you had as many thoughts as hairs in your "
    "beard,” it called down, “you would have looked for the way out before you jumped.”"
)

_GARDEN = (  # in the words of toy stories, which a head of the demo knows
    "Sandra put on her boots and went to the kitchen. Daniel moved to the hallway with a lamp. Then Sandra travelled "
    "to the garden to look for the cat. Daniel went back to the bathroom."
)

PASSAGES = (
    Passage("The ferry", "When did the stone bridge open?", _FERRY),
    Passage("Who bought it?", "Who bought the engine of the ferry?", _FERRY),
    Passage("The fox and the goat", "What did the fox step on to get out of the well?", _FOX),
    Passage("Where is Sandra?", "Where is Sandra?", _GARDEN),
    Passage("No answer here", "What colour was the ferry painted?", _FERRY),
)
"""The first one is in the boxes when the page opens; the last one can't be answered."""
