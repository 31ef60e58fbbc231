"""Generation with a file of your own: prompts, and what a right continuation would be."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.generation import Generation, Prompt
from workbench.evals.task import Task


def read(row: Row) -> Prompt:
    """Columns: prompt; answers, a text or a list of texts (in CSV a JSON list), each of them right."""
    answers = row.value("answers")
    is_list = isinstance(answers, list | tuple) or (isinstance(answers, str) and answers.lstrip().startswith("["))
    return Prompt(row.text("prompt").rstrip(), row.texts("answers") if is_list else (row.text("answers"),))


SAMPLES = (
    {"prompt": "Question: What is the capital of France?\nAnswer:", "answers": ["Paris"]},
    {"prompt": "Question: How many days has a week?\nAnswer:", "answers": ["seven", "7"]},
    {"prompt": "Question: What do cows drink?\nAnswer:", "answers": ["water"]},
    {"prompt": "Question: What is two plus three?\nAnswer:", "answers": ["five", "5"]},
    {"prompt": "Question: Which animal barks?\nAnswer:", "answers": ["a dog", "dogs"]},
    {"prompt": "Question: What is frozen water called?\nAnswer:", "answers": ["ice"]},
    {"prompt": "Question: What comes out of a hen?\nAnswer:", "answers": ["an egg", "eggs"]},
    {"prompt": "Question: What is the first letter of the alphabet?\nAnswer:", "answers": ["A"]},
)

TASK = Task(
    name="own_generation",
    about="Generation with a file of your own: prompt, answers (a text or a list); a line of text is compared.",
    columns=("prompt", "answers"),
    read=read,
    method=Generation(stop=("\n",), max_new_tokens=64),
    samples=SAMPLES,
    id_column="id",
)
