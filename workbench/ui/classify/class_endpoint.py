"""The page's endpoint /classify, with plain values in and out."""

import time
from typing import Any

from gradio.events import api

from workbench.errors import BadRequest
from workbench.evals.asking import ask_one
from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.text.requests import check_text
from workbench.ui.bench import Bench
from workbench.ui.classify.class_methods import build_asked, tokens_read
from workbench.ui.generate.endpoints import page_error, served_spec, settings_by_name
from workbench.ui.head_choice import served_head


def classify_endpoint(bench: Bench) -> None:
    """Registers /classify."""

    def classify(
        text: str,
        labels: list[str] | str | None = None,
        template: str = "",
        head: str = "",
        model: str = "",
        precision: str = "",
        settings: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Says what kind of text this is: the likeliest label, and every label's probability.

        labels is a list, or a text with commas between them; template holds {text} and is followed by each label; head
        is the name of a trained head, which has labels of its own; model is a checkpoint (empty: the one served
        first); settings holds any other setting by its name: shots ([text, label] each), normalization (none,
        characters, bytes, tokens, pmi), domain_premise, calibration (none, contextual, domain), sample_texts, seed,
        threshold.
        """
        try:
            check_text("text", text)
            if not text.strip():
                raise BadRequest("The text is empty: there is nothing to classify.")
            spec = served_spec(bench, model, precision)
            name = served_head(bench, spec, "classify", head)
            asked = build_asked(name, labels, template, settings_by_name(settings))
            with bench.manager.lease(spec) as lm:
                method = asked.method(bench.manager, spec, lm, [text])
                example, began = TextExample("1", text), time.monotonic()
                prediction = ask_one(lm, method, example)
                seconds = time.monotonic() - began
                tokens = tokens_read(lm, method.requests(example))
            told = {"tokens": tokens, "unseen_tokens": prediction.unseen_tokens, "seconds": seconds}
            return prediction_record(prediction) | told
        except Exception as error:
            raise page_error(error) from error

    api(classify, api_name="classify", concurrency_limit=None)


def prediction_record(prediction: ClassPrediction) -> dict[str, Any]:
    """A prediction under the names of the command line's JSON; what its method does not give is left out."""
    record: dict[str, Any] = {"label": prediction.label, "scores": prediction.scores}
    for name in ("loglikelihoods", "logits"):
        if values := getattr(prediction, name):
            record[name] = values
    if prediction.labels is not None:
        record["labels"] = list(prediction.labels)
    for name in ("uncalibrated", "number"):
        if (value := getattr(prediction, name)) is not None:
            record[name] = value
    return record
