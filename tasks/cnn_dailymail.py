"""CNN/DailyMail by the protocol of MLPerf Inference: a summary of a news article, by beam search, against ROUGE."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.generation import Generation, Prompt
from workbench.evals.task import Reference, Source, Task

INSTRUCTION = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nSummarize the following news article:\n\n### Input:\n"
)
FINE_TUNED = "GPT-J-6B fine-tuned on CNN/DailyMail (MLPerf)"
PROTOCOL = (
    "The float32 reference of MLPerf Inference over all 13,368 validation articles, for a model that was fine-tuned on "
    "this data set; GPT-J-6B as published was not. Targets are 99 % and 99.9 % of it."
)


def read(row: Row) -> Prompt:
    """The article under MLPerf's instruction, and its highlights as the summary."""
    return Prompt(f"{INSTRUCTION}{row.text('article')}\n\n### Response:", (row.text("highlights"),))


SAMPLES = (
    {
        "article": "A goat that had lived on the roof of a bakery for nine days was brought down by firefighters on "
        "Tuesday. Nobody knows how it got there. The baker, Lina Horvat, said that customers had begun to bring it "
        "lettuce. The goat will move to a farm outside the town.",
        "highlights": "A goat lived on a bakery's roof for nine days .\nFirefighters brought it down on Tuesday, and "
        "it will move to a farm .",
        "id": "news-1",
    },
    {
        "article": "The ferry between Port Anna and the islands will run through the night from June. The company has "
        "bought a second ship, which used to sail in Norway. Islanders had asked for a night boat for years, because "
        "the last one leaves at six in the evening.",
        "highlights": "A night ferry will link Port Anna and the islands from June .\nThe company bought a second "
        "ship from Norway .",
        "id": "news-2",
    },
    {
        "article": "Pupils of a school in Delmont have built a telescope out of scrap. It took them two years and a "
        "washing machine's drum. On its first night, sixty neighbours queued to see the rings of Saturn. The head "
        "teacher hopes that other schools will copy the plans, which are free.",
        "highlights": "Pupils built a telescope from scrap, including a washing machine's drum .\nIts plans are free "
        "for other schools .",
        "id": "news-3",
    },
    {
        "article": "The city library has forgiven all fines. In the first week, readers brought back four thousand "
        "books, one of them due in 1962. The librarian said that she was glad to see every one. Next year the library "
        "will decide whether to give up fines for good.",
        "highlights": "The library's amnesty brought back four thousand books in a week .\nOne of them had been due "
        "in 1962 .",
        "id": "news-4",
    },
    {
        "article": "A storm tore the weathercock from the tower of St Martin's on Sunday. It was found in a pond, two "
        "kilometres away, hardly bent. A blacksmith will straighten its tail. It is to go back up in spring, when the "
        "scaffold for the roof stands.",
        "highlights": "A weathercock blown off a church was found in a pond .\nIt will return to its tower in spring .",
        "id": "news-5",
    },
    {
        "article": "Scientists have counted the bats under Kern Bridge. There are 1,400 of them, twice as many as ten "
        "years ago. The town had planned to close the gaps in the stone where they sleep. It now wants to leave them "
        "open, and to repair the bridge in winter, when the bats are away.",
        "highlights": "The number of bats under Kern Bridge has doubled in ten years .\nRepairs will wait until they "
        "are away .",
        "id": "news-6",
    },
    {
        "article": "A chess club from Ruten has played the same game by post for forty years. Its opponent, a club in "
        "Iceland, sends a card every few months. Thirty-one moves have been made. Both clubs think that they are "
        "winning.",
        "highlights": "Two clubs have played one game of chess by post for forty years .\nBoth think that they are "
        "winning .",
        "id": "news-7",
    },
    {
        "article": "The last shop in Upper Hollin closed in March. In April its customers opened it again. Eighty "
        "families have bought a share each, and everyone serves behind the counter twice a month. So far the shop has "
        "made a small profit, which went into a new coffee machine.",
        "highlights": "Eighty families have reopened their village shop and run it themselves .\nIt has made a small "
        "profit .",
        "id": "news-8",
    },
)

TASK = Task(
    name="cnn_dailymail",
    about="What is a news article's summary?",
    columns=("article", "highlights"),
    read=read,
    method=Generation(
        measures=("rouge1", "rouge2", "rougeL", "characters"),
        max_new_tokens=128,
        min_new_tokens=30,
        num_beams=4,
        truncate="end",
        longest_prompt_tokens=1919,
        takes_shots=False,
    ),
    samples=SAMPLES,
    source=Source(
        "abisee/cnn_dailymail",
        split="validation",
        name="3.0.0",
        revision="96df5e686bee6baa90b8bee7c28b81fa3fa6223d",
    ),
    id_column="id",
    references=(
        Reference(FINE_TUNED, "rouge1", 0.429865, PROTOCOL),
        Reference(FINE_TUNED, "rouge2", 0.201235, PROTOCOL),
        Reference(FINE_TUNED, "rougeL", 0.299881, PROTOCOL),
        Reference(FINE_TUNED, "characters", 4_016_878 / 13_368, f"{PROTOCOL} Published as a sum, 4,016,878."),
    ),
)
