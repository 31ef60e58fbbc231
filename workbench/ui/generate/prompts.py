"""The prompts that the Generate tab offers."""

UNICORNS = (
    "In a shocking finding, scientists discovered a herd of unicorns living in a remote, previously unexplored "
    "valley, in the Andes Mountains. Even more surprising to the researchers was the fact that the unicorns "
    "spoke perfect English."
)
"""The prompt of GPT-J's published documentation page."""

PROMPTS = {
    "The edge of the wood": "Once upon a time, in a little house at the edge of the wood, there lived a girl who",
    "The fox's bargain": "The fox looked up at the old crow and said, “Good morning! If you give me",
    "The king's three sons": "There was once a king who had three sons. The two elder were clever, but the youngest",
    "A voice in the night": "“Who is there?” cried the miller's wife. The wind howled, and a small voice answered:",
    "Unicorns": UNICORNS,
}
"""Label and prompt; the first one is in the box when the page opens."""
