"""SQuAD 1.1: which piece of a passage answers a question."""

from workbench.evals.data.rows import Row
from workbench.evals.data.squad_files import Question, question_in
from workbench.evals.methods.extraction import Extraction
from workbench.evals.task import Source, Task


def read(row: Row) -> Question:
    """The question with its passage and right answers."""
    question = question_in(row)
    if not question.answers:
        raise row.refused("answers", "has no right answer, which SQuAD 1.1 does not know; the task squad_v2 does")
    return question


SAMPLES = (
    {
        "id": "mill-1",
        "title": "Garrow Mill",
        "context": "The old mill at Garrow was built in 1764 by the brothers Thomas and Neil Carr. Its wheel, seven "
        "metres high, turned until the flood of 1903. Since 1988 it has been a museum, which about 9,000 people visit "
        "each year.",
        "question": "When was the mill at Garrow built?",
        "answers": {"text": ["1764", "in 1764"], "answer_start": [36, 33]},
    },
    {
        "id": "mill-2",
        "title": "Garrow Mill",
        "context": "The old mill at Garrow was built in 1764 by the brothers Thomas and Neil Carr. Its wheel, seven "
        "metres high, turned until the flood of 1903. Since 1988 it has been a museum, which about 9,000 people visit "
        "each year.",
        "question": "How high was its wheel?",
        "answers": {"text": ["seven metres", "seven metres high"], "answer_start": [90, 90]},
    },
    {
        "id": "mill-3",
        "title": "Garrow Mill",
        "context": "The old mill at Garrow was built in 1764 by the brothers Thomas and Neil Carr. Its wheel, seven "
        "metres high, turned until the flood of 1903. Since 1988 it has been a museum, which about 9,000 people visit "
        "each year.",
        "question": "What stopped the wheel?",
        "answers": {"text": ["the flood of 1903", "flood of 1903"], "answer_start": [122, 126]},
    },
    {
        "id": "crane-1",
        "title": "Grey crane",
        "context": "The grey crane breeds in marshes. Both parents build the nest and take turns on the two eggs. The "
        "young can fly after nine weeks, and in October the family leaves for the south of Spain.",
        "question": "Where does the grey crane breed?",
        "answers": {"text": ["in marshes", "marshes"], "answer_start": [22, 25]},
    },
    {
        "id": "crane-2",
        "title": "Grey crane",
        "context": "The grey crane breeds in marshes. Both parents build the nest and take turns on the two eggs. The "
        "young can fly after nine weeks, and in October the family leaves for the south of Spain.",
        "question": "How many eggs lie in the nest?",
        "answers": {"text": ["two"], "answer_start": [84]},
    },
    {
        "id": "crane-3",
        "title": "Grey crane",
        "context": "The grey crane breeds in marshes. Both parents build the nest and take turns on the two eggs. The "
        "young can fly after nine weeks, and in October the family leaves for the south of Spain.",
        "question": "When does the family leave for the south?",
        "answers": {"text": ["in October", "October"], "answer_start": [134, 137]},
    },
    {
        "id": "tram-1",
        "title": "Line 6",
        "context": "Line 6 of the city's tramway runs from the harbour to the zoo. Its cars are painted yellow. A "
        "ride takes 35 minutes and costs as much as on any other line.",
        "question": "What colour are the cars of line 6?",
        "answers": {"text": ["yellow"], "answer_start": [84]},
    },
    {
        "id": "tram-2",
        "title": "Line 6",
        "context": "Line 6 of the city's tramway runs from the harbour to the zoo. Its cars are painted yellow. A "
        "ride takes 35 minutes and costs as much as on any other line.",
        "question": "How long does a ride take?",
        "answers": {"text": ["35 minutes"], "answer_start": [105]},
    },
    {
        "id": "tram-3",
        "title": "Line 6",
        "context": "Line 6 of the city's tramway runs from the harbour to the zoo. Its cars are painted yellow. A "
        "ride takes 35 minutes and costs as much as on any other line.",
        "question": "Where does line 6 begin?",
        "answers": {"text": ["the harbour", "harbour"], "answer_start": [39, 43]},
    },
)

TASK = Task(
    name="squad",
    about="Which piece of a passage answers a question?",
    columns=("context", "question", "answers"),
    read=read,
    method=Extraction(),
    samples=SAMPLES,
    source=Source(
        "rajpurkar/squad",
        split="validation",
        revision="7b6d24c440a36b6815f21b70d25016731768db1f",
        shots_split="train",
    ),
    id_column="id",
)
