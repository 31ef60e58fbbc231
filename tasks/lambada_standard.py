"""LAMBADA as its authors published it: lower case, with spaces before punctuation."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.cloze import Cloze, Ending
from workbench.evals.task import Source, Task


def read(row: Row) -> Ending:
    """All but the last word, and the last word with its space."""
    begun, _, word = row.text("text").rpartition(" ")
    return Ending(begun, f" {word}")


SAMPLES = (
    {
        "text": "the ferry was late again , and on the pier the three of them shared what was left of the bread . `` "
        "save some for the gulls , '' said ann , but nobody wanted to share with the gulls",
    },
    {
        "text": "he had never seen the orchard in bloom . every year he came in autumn to pick the apples , and every "
        "year his uncle promised that in spring he should come to see the orchard",
    },
    {
        "text": "`` who put the ladder there ? '' asked the painter . he had left it by the shed , he was sure of "
        "that , and now it leaned against the wall . somebody had moved the ladder",
    },
    {
        "text": "there were nine letters in the box , all in the same hand , none of them opened . clara held the "
        "first one up to the lamp . for twenty years , she thought , no one had read the letters",
    },
    {
        "text": "the clock in the hall struck thirteen . peter counted again on his fingers , and then he went for a "
        "screwdriver , because his father had asked him only yesterday to mend the clock",
    },
    {
        "text": "they called the goat captain , for it went wherever it liked . when the gate was left open on market "
        "day , half the village ran down the street after the goat",
    },
    {
        "text": "the bell tower leaned a little to the south . tourists came to photograph it , and the mayor , who "
        "had promised to straighten it , had quietly stopped talking about the tower",
    },
    {
        "text": "`` i can not sleep without my blanket , '' said the smallest one . so the whole family went back in "
        "the rain , past the mill and the church , to look for the blanket",
    },
)

TASK = Task(
    name="lambada_standard",
    about="What is the last word of a passage, in the lower-case form of the original data set?",
    columns=("text",),
    read=read,
    method=Cloze(),
    samples=SAMPLES,
    source=Source("cimec/lambada", split="test", shots_split="validation"),
)
