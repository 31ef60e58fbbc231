"""Questions about short passages in the English of children's stories; a quarter of them the passage does not answer.

60 questions about 20 passages, written for this project and held out from the training of the demo.
"""

from workbench.evals.data.rows import Row
from workbench.evals.data.shipped import shipped_rows
from workbench.evals.data.squad_files import Question, question_in
from workbench.evals.methods.extraction import Extraction
from workbench.evals.task import Task


def read(row: Row) -> Question:
    """The question with its passage and right answers; none at all where the passage holds none."""
    return question_in(row)


TASK = Task(
    name="our_questions",
    about="Which piece of a little story answers a question, if any? Written for this project; the demo never saw it.",
    columns=("context", "question", "answers"),
    read=read,
    method=Extraction(unanswerable=True),
    samples=shipped_rows(__file__),
    complete=True,
    id_column="id",
)
