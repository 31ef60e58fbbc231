"""SMS Spam Collection: whether a text message is spam."""

from workbench.evals.data.rows import Row
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.labels import TextExample
from workbench.evals.published_scores import chance
from workbench.evals.task import Source, Task

LABELS = ("ham", "spam")


def read(row: Row) -> TextExample:
    """The message and its label; spam is what nobody asked for, ham all else."""
    return TextExample(row.identity(None), row.text("sms"), LABELS[row.gold("label", 0, len(LABELS) - 1)])


SAMPLES = (
    {"sms": "Running ten minutes late, order me a tea please x\n", "label": 0},
    {
        "sms": "CONGRATULATIONS! Your number has won a 500 pound voucher. Call 0900 000 000 now to claim. Cost 1.50 a "
        "minute\n",
        "label": 1,
    },
    {"sms": "Did you feed the cat? She is looking at me.\n", "label": 0},
    {"sms": "FREE ringtone! Reply TONE to 80000 for your first one free, then 3 a week. Stop to end\n", "label": 1},
    {"sms": "ok see you at gate 4\n", "label": 0},
    {"sms": "Urgent! We tried to reach you about your prize holiday. Text HOLIDAY to 80001 today\n", "label": 1},
    {"sms": "Happy birthday!! Did the parcel come?\n", "label": 0},
    {"sms": "Hot deals in your area tonight. Unsubscribe by sending NO to 80002, 50p per message\n", "label": 1},
)

TASK = Task(
    name="sms_spam",
    about="Is a text message spam?",
    columns=("sms", "label"),
    read=read,
    method=Classification(LABELS, "Message: {text}\nKind:"),
    samples=SAMPLES,
    source=Source(
        "ucirvine/sms_spam",
        split="train",
        name="plain_text",
        revision="cae486f927c250fe1d4a5b55f11357964ed1646c",
    ),
    references=(chance(len(LABELS)),),
)
