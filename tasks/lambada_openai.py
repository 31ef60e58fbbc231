"""LAMBADA, in the form that OpenAI used: the last word of a passage that only the whole of it gives away."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.cloze import Cloze, Ending
from workbench.evals.published_scores import published_scores
from workbench.evals.task import Source, Task


def read(row: Row) -> Ending:
    """All but the last word, and the last word with its space."""
    begun, _, word = row.text("text").rpartition(" ")
    return Ending(begun, f" {word}")


SAMPLES = (
    {
        "text": '"Have you fed the hens?" asked Rosa.\n\nTom shook his head and took the bucket from its hook. It was '
        "cold outside, and he could hear them already, so he went across the yard to feed the hens",
    },
    {
        "text": "The old lighthouse had stood empty for years. Nobody had climbed its stairs since the keeper left, "
        "and when the storm put out every lamp in town, Ida said that someone had to light the lighthouse",
    },
    {
        "text": "He had lost the key somewhere between the bakery and the bridge. He turned out his pockets, he "
        "looked under every bench, and at last a boy came running after him and held out the key",
    },
    {
        "text": '"It is only a violin," said her brother. But Marta had saved for it since the spring, and when the '
        "shop's door closed behind them she would not let anyone else carry the violin",
    },
    {
        "text": "All week the two sisters had argued about the map. Now, with the fog rising round the boat, Nell "
        "unrolled it on her knees and wished that she had learned to read the map",
    },
    {
        "text": "The soup needed salt. Everyone at the table knew it, and everyone praised it all the same, until "
        "grandmother lifted her spoon, tasted, and asked in a small voice who had forgotten the salt",
    },
    {
        "text": "There was a bear in the story, a very polite one, who knocked before he came in. For weeks the child "
        "listened for a knock at night, and hoped that it would be the bear",
    },
    {
        "text": "They had built the raft out of four doors and a washing line. It held as far as the middle of the "
        "pond. Then one of the doors came loose, and all three of them fell off the raft",
    },
)

TASK = Task(
    name="lambada_openai",
    about="What is the last word of a passage? The whole of it gives it away, its last sentence alone does not.",
    columns=("text",),
    read=read,
    method=Cloze(),
    samples=SAMPLES,
    source=Source(
        "EleutherAI/lambada_openai",
        split="test",
        name="default",
        revision="900124bf3b8235c6daf21033af9948b3f07346c4",
    ),
    references=(*published_scores("lambada_perplexity", "perplexity"), *published_scores("lambada_acc", "acc")),
)
