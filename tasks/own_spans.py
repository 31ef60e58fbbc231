"""Extractive question answering with a file of your own: questions, passages and their answers."""

from workbench.evals.data.rows import Row
from workbench.evals.data.squad_files import Question, question_in
from workbench.evals.methods.extraction import Extraction
from workbench.evals.task import Task


def read(row: Row) -> Question:
    """Columns: question; context; answers, as a text, a list, or as SQuAD has them; empty where there is none."""
    return question_in(row)


SAMPLES = (
    {
        "question": "What does the shop sell?",
        "context": "The shop on the corner sells bread, milk and newspapers. It opens at six.",
        "answers": ["bread, milk and newspapers"],
    },
    {
        "question": "When does the shop open?",
        "context": "The shop on the corner sells bread, milk and newspapers. It opens at six.",
        "answers": ["at six", "six"],
    },
    {
        "question": "Who owns the shop?",
        "context": "The shop on the corner sells bread, milk and newspapers. It opens at six.",
        "answers": [],
    },
    {
        "question": "How long is the trail?",
        "context": "The trail is 12 km long and climbs 400 metres. Dogs must be kept on a lead.",
        "answers": ["12 km"],
    },
    {
        "question": "What must be kept on a lead?",
        "context": "The trail is 12 km long and climbs 400 metres. Dogs must be kept on a lead.",
        "answers": ["Dogs"],
    },
    {
        "question": "Where does the trail begin?",
        "context": "The trail is 12 km long and climbs 400 metres. Dogs must be kept on a lead.",
        "answers": [],
    },
    {
        "question": "Who won the race?",
        "context": "Mara won the race by a second, ahead of Ole and Tim.",
        "answers": ["Mara"],
    },
    {
        "question": "Who came second?",
        "context": "Mara won the race by a second, ahead of Ole and Tim.",
        "answers": ["Ole"],
    },
)

TASK = Task(
    name="own_spans",
    about="Extractive question answering with a file of your own: question, context, answers (none: an empty list).",
    columns=("question", "context", "answers"),
    read=read,
    method=Extraction(unanswerable=True),
    samples=SAMPLES,
    id_column="id",
)
