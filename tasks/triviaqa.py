"""TriviaQA without its documents: trivia, answered in a few words out of the model's memory."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.generation import Generation, Prompt
from workbench.evals.task import Source, Task


def read(row: Row) -> Prompt:
    """The question, after which the harness sets a second question mark, and all the ways to write its answer."""
    return Prompt(f"Question: {row.text('question')}?\nAnswer:", row.lists("answer", "aliases")[0])


SAMPLES = (
    {
        "question": "Which planet is the largest of the solar system?",
        "question_id": "trivia-1",
        "answer": {"value": "Jupiter", "aliases": ["Jupiter", "The planet Jupiter"]},
    },
    {
        "question": "What is the capital of Iceland?",
        "question_id": "trivia-2",
        "answer": {"value": "Reykjavik", "aliases": ["Reykjavik", "Reykjavík"]},
    },
    {
        "question": "How many strings does a violin have?",
        "question_id": "trivia-3",
        "answer": {"value": "Four", "aliases": ["Four", "4"]},
    },
    {
        "question": "Which metal is liquid at room temperature?",
        "question_id": "trivia-4",
        "answer": {"value": "Mercury", "aliases": ["Mercury", "Quicksilver", "Hg"]},
    },
    {
        "question": "In which city does the Danube meet the Hungarian parliament?",
        "question_id": "trivia-5",
        "answer": {"value": "Budapest", "aliases": ["Budapest"]},
    },
    {
        "question": "What is the name of the fear of spiders?",
        "question_id": "trivia-6",
        "answer": {"value": "Arachnophobia", "aliases": ["Arachnophobia"]},
    },
    {
        "question": "Which bird lays the largest eggs?",
        "question_id": "trivia-7",
        "answer": {"value": "The ostrich", "aliases": ["The ostrich", "Ostrich"]},
    },
    {
        "question": "Which sea lies between Italy and Croatia?",
        "question_id": "trivia-8",
        "answer": {"value": "The Adriatic", "aliases": ["The Adriatic", "Adriatic Sea", "Adriatic"]},
    },
)

TASK = Task(
    name="triviaqa",
    about="What is the answer to a trivia question, in the model's own words?",
    columns=("question", "answer"),
    read=read,
    method=Generation(measures=("exact_match", "contains", "f1"), stop=("\n", ".", ",")),
    samples=SAMPLES,
    source=Source(
        "mandarjoshi/trivia_qa",
        split="validation",
        name="rc.nocontext",
        revision="0f7faf33a3908546c6fd5b73a660e0f8ff173c2f",
        shots_split="train",
    ),
    version=3,
)
