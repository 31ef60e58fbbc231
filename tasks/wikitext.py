"""WikiText-2: how likely whole articles are, in the text form that undoes their tokenisation."""

import re

from workbench.evals.data.rows import Row
from workbench.evals.methods.perplexity import Document, Perplexity
from workbench.evals.task import Source, Task

SPACED = ((" : ", ": "), (" ; ", "; "), (" . ", ". "), (" ! ", "! "), (" ? ", "? "), (" , ", ", "))
PAIRED = ((r"\(\s*([^\)]*?)\s*\)", r"(\1)"), (r"\[\s*([^\]]*?)\s*\]", r"[\1]"), (r"{\s*([^}]*?)\s*}", r"{\1}"))
QUOTED = ((r"\"\s*([^\"]*?)\s*\"", r'"\1"'), (r"'\s*([^']*?)\s*'", r"'\1'"))
HEADINGS = (("= = = =", "===="), ("= = =", "==="), ("= =", "=="))
REST = ((" ° ", "°"), (" \n", "\n"), ("\n ", "\n"), (" N ", " 1 "), (" 's", "'s"))


def detokenised(page: str) -> str:
    """A page with its punctuation where print has it, by the rules of lm-evaluation-harness, in their order."""
    text = page.replace("s '", "s'")
    # The slashes belong to the rule as it has always been, so that it hardly ever applies.
    text = re.sub(r"/' [0-9]/", r"/'[0-9]/", text)
    for mark in "-,.":
        text = text.replace(f" @{mark}@ ", mark)
    for tokenised, printed in SPACED:
        text = text.replace(tokenised, printed)
    for pattern, printed in (*PAIRED, *QUOTED):
        text = re.sub(pattern, printed, text)
    for tokenised, printed in (*HEADINGS, *REST):
        text = text.replace(tokenised, printed)
    return text


def read(row: Row) -> Document:
    """The page as it is scored, beside the page whose words and bytes count."""
    page = row.text("page")
    return Document(detokenised(page), page)


SAMPLES = (
    {
        "page": " \n = Kestrel Lane = \n \n Kestrel Lane is a narrow street in the old town . It is 2 @.@ 3 metres "
        "wide and has 1 @,@ 204 cobblestones , counted twice . \n \n = = History = = \n \n The lane 's name is older "
        'than its houses . A baker called it " the draughty one " ( it faces north ) . \n',
    },
    {
        "page": " \n = Blue orchard moth = \n \n The blue orchard moth is a small , slow @-@ flying moth . It lays "
        "its eggs on pear trees ; the caterpillars eat the leaves and , later , the bark . \n \n = = Range = = \n \n "
        "It lives between 40 ° and 52 ° north . \n",
    },
    {
        "page": " \n = The Long Ladder = \n \n The Long Ladder is a children 's book of 1954 . Its heroine , a girl "
        "who can not stop climbing , meets a roofer , a pigeon and the moon . \n \n = = = Editions = = = \n \n There "
        "are three : one in English , one in Welsh and one in the roofers ' own signs . \n",
    },
    {
        "page": " \n = Harrow Bridge = \n \n Harrow Bridge carries a footpath over the river Ash . Built in 1871 , it "
        "was closed in 1950 [ after a flood ] and opened again in 1962 . Was it ever straight ? No ! It bends in the "
        "middle . \n",
    },
    {
        "page": " \n = Station clock = \n \n The station clock of Millbrook runs four minutes fast . The railway set "
        'it so in 1903 , " for the sake of the late " , as the stationmaster wrote . \n \n = = Repairs = = \n \n It '
        "has been repaired 11 times . \n",
    },
    {
        "page": " \n = Oat soup = \n \n Oat soup is a thin soup of oats , leeks and water . It is eaten in the "
        "morning { rarely in the evening } with salt . Cooks disagree about the leeks : some fry them first . \n",
    },
    {
        "page": " \n = Northern Choir = \n \n The Northern Choir was founded by 14 singers and one dog . Within N "
        "years it had 80 members ; the dog , by then retired , attended every concert . \n",
    },
    {
        "page": " \n = Paper lantern = \n \n A paper lantern is a light in a bag of paper . It weighs 20 grams or "
        "less , and burns for 10 @-@ 15 minutes . \n \n = = = = Safety = = = = \n \n Don 't light one indoors . \n",
    },
)

TASK = Task(
    name="wikitext",
    about="How likely are whole Wikipedia articles, by word and by byte?",
    columns=("page",),
    read=read,
    method=Perplexity(),
    samples=SAMPLES,
    source=Source(
        "EleutherAI/wikitext_document_level",
        split="test",
        name="wikitext-2-raw-v1",
        revision="647234772b9554e208af6c826f23b99e3cac88c8",
    ),
    version=2,
)
