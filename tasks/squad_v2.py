"""SQuAD 2.0: which piece of a passage answers a question, or that none does."""

from workbench.evals.data.rows import Row
from workbench.evals.data.squad_files import Question, question_in
from workbench.evals.methods.extraction import Extraction
from workbench.evals.task import Source, Task


def read(row: Row) -> Question:
    """The question with its passage and right answers; none at all where the passage holds none."""
    return question_in(row)


SAMPLES = (
    {
        "id": "mill-1",
        "title": "Garrow Mill",
        "context": "The old mill at Garrow was built in 1764 by the brothers Thomas and Neil Carr. Its wheel, seven "
        "metres high, turned until the flood of 1903. Since 1988 it has been a museum, which about 9,000 people visit "
        "each year.",
        "question": "Who built the mill at Garrow?",
        "answers": {"text": ["the brothers Thomas and Neil Carr", "Thomas and Neil Carr"], "answer_start": [44, 57]},
    },
    {
        "id": "mill-4",
        "title": "Garrow Mill",
        "context": "The old mill at Garrow was built in 1764 by the brothers Thomas and Neil Carr. Its wheel, seven "
        "metres high, turned until the flood of 1903. Since 1988 it has been a museum, which about 9,000 people visit "
        "each year.",
        "question": "What does a visit to the museum cost?",
        "answers": {"text": [], "answer_start": []},
    },
    {
        "id": "mill-5",
        "title": "Garrow Mill",
        "context": "The old mill at Garrow was built in 1764 by the brothers Thomas and Neil Carr. Its wheel, seven "
        "metres high, turned until the flood of 1903. Since 1988 it has been a museum, which about 9,000 people visit "
        "each year.",
        "question": "How many people visit the mill each year?",
        "answers": {"text": ["about 9,000", "9,000"], "answer_start": [180, 186]},
    },
    {
        "id": "crane-4",
        "title": "Grey crane",
        "context": "The grey crane breeds in marshes. Both parents build the nest and take turns on the two eggs. The "
        "young can fly after nine weeks, and in October the family leaves for the south of Spain.",
        "question": "Who builds the nest?",
        "answers": {"text": ["Both parents"], "answer_start": [34]},
    },
    {
        "id": "crane-5",
        "title": "Grey crane",
        "context": "The grey crane breeds in marshes. Both parents build the nest and take turns on the two eggs. The "
        "young can fly after nine weeks, and in October the family leaves for the south of Spain.",
        "question": "How much does a grey crane weigh?",
        "answers": {"text": [], "answer_start": []},
    },
    {
        "id": "crane-6",
        "title": "Grey crane",
        "context": "The grey crane breeds in marshes. Both parents build the nest and take turns on the two eggs. The "
        "young can fly after nine weeks, and in October the family leaves for the south of Spain.",
        "question": "After how many weeks can the young fly?",
        "answers": {"text": ["nine weeks", "nine"], "answer_start": [118, 118]},
    },
    {
        "id": "tram-4",
        "title": "Line 6",
        "context": "Line 6 of the city's tramway runs from the harbour to the zoo. Its cars are painted yellow. A "
        "ride takes 35 minutes and costs as much as on any other line.",
        "question": "When was line 6 opened?",
        "answers": {"text": [], "answer_start": []},
    },
    {
        "id": "tram-5",
        "title": "Line 6",
        "context": "Line 6 of the city's tramway runs from the harbour to the zoo. Its cars are painted yellow. A "
        "ride takes 35 minutes and costs as much as on any other line.",
        "question": "Where does line 6 end?",
        "answers": {"text": ["the zoo", "zoo"], "answer_start": [54, 58]},
    },
    {
        "id": "tram-6",
        "title": "Line 6",
        "context": "Line 6 of the city's tramway runs from the harbour to the zoo. Its cars are painted yellow. A "
        "ride takes 35 minutes and costs as much as on any other line.",
        "question": "How many cars does line 6 have?",
        "answers": {"text": [], "answer_start": []},
    },
)

TASK = Task(
    name="squad_v2",
    about="Which piece of a passage answers a question, if any does?",
    columns=("context", "question", "answers"),
    read=read,
    method=Extraction(unanswerable=True),
    samples=SAMPLES,
    source=Source(
        "rajpurkar/squad_v2",
        split="validation",
        revision="3ffb306f725f7d2ce8394bc1873b24868140c412",
        shots_split="train",
    ),
    id_column="id",
)
