"""The page's endpoint /answer, with plain values in and out."""

from typing import Any

from gradio.events import api

from workbench.text.reading import trained_windows
from workbench.ui.answer.answer_request import answer_record, build_question, checked_threshold
from workbench.ui.bench import Bench
from workbench.ui.generate.endpoints import page_error, served_spec, settings_by_name
from workbench.ui.head_choice import served_head


def answer_endpoint(bench: Bench) -> None:
    """Registers /answer."""

    def answer(
        question: str,
        context: str,
        head: str = "",
        model: str = "",
        precision: str = "",
        settings: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Finds the answer to a question in a passage: an exact piece of it, or an empty text where there is none.

        head is the name of a trained head (empty: the language model ranks the passage's spans); model is a
        checkpoint (empty: the one served first); settings holds any other setting by its name: threshold, n_best,
        max_answer_tokens, window_tokens, doc_stride (these three: as the head was trained, unless they are given),
        template, unanswerable, shots ([passage, question, answer] each).
        """
        try:
            named = settings_by_name(settings)
            threshold = checked_threshold(named.pop("threshold", 0.0))
            spec = served_spec(bench, model, precision)
            name = served_head(bench, spec, "answer", head)
            build_question(question, context, None, named)  # a bad request is told before a model is loaded for it
            with bench.manager.lease(spec) as lm:
                key = None
                if name is not None:
                    card = bench.manager.use_head(spec, name, "answer")
                    key, named = card.key, trained_windows(card) | named
                return answer_record(lm.extract(build_question(question, context, key, named)), threshold)
        except Exception as error:
            raise page_error(error) from error

    api(answer, api_name="answer", concurrency_limit=None)
