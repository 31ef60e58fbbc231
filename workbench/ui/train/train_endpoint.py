"""The page's endpoint /train, with plain values in and out."""

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gradio.events import api

from workbench.errors import BadRequest
from workbench.training.heads import FineTuneProgress, TrainAnswer, TrainClassify, Trained, train_head
from workbench.ui.bench import Bench
from workbench.ui.generate.endpoints import page_error, settings_by_name

_KINDS = {"classify": TrainClassify, "answer": TrainAnswer}


def train_endpoint(bench: Bench) -> None:
    """Registers /train."""

    def train(
        kind: str, data: str, name: str, model: str = "", method: str = "probe", settings: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Trains a head on files of this machine; progress, and at the end its folder and metrics.

        kind is "classify" (rows with a text and its label) or "answer" (questions with passages); data is the file's
        path; name is what the head is called; method is probe, head, lora or full; settings holds any other option of
        the command `train` by its name, such as epochs or text_column. Only where the page serves its own machine.
        """
        try:
            request = asked_training(bench, kind, data, name, model, method, settings)
            stop = bench.training.take(name)
            try:
                with closing(train_head(request)) as steps:
                    while True:
                        progress, trained = _next(steps)
                        if trained is not None:
                            done = {"folder": str(trained.folder), "metrics": trained.metrics}
                            yield done | {"seconds": trained.seconds}
                            return
                        if progress is not None:
                            yield {"progress": {"step": progress.step, "steps": progress.steps, "loss": progress.loss}}
                        if stop.is_set():
                            return
            finally:
                bench.training.leave()
        except Exception as error:
            raise page_error(error) from error

    api(train, api_name="train", concurrency_limit=1)


def asked_training(
    bench: Bench, kind: Any, data: Any, name: Any, model: Any, method: Any, settings: Any
) -> TrainClassify | TrainAnswer:
    """What a caller asks for.

    Raises:
        BadRequest: the page is public, a name would leave the folder of heads, or a value can't be used.
    """
    if not bench.settings.serves_locally:
        raise BadRequest("Others use this machine, so no visitor trains on it. Train on your own.")
    if kind not in _KINDS:
        raise BadRequest(f"kind is {kind!r}; it must be classify or answer.")
    texts = {"data": data, "name": name, "method": method}
    if wrong := [field for field, value in texts.items() if not isinstance(value, str) or not value.strip()]:
        raise BadRequest(f"{wrong[0]} is missing, or no text.")
    if Path(name).name != name or name in (".", ".."):
        raise BadRequest(f"name is {name[:100]!r}; it is the name of a folder, without any other before it.")
    given = settings_by_name(settings)
    own = {"data": data, "out": str(bench.settings.heads_folder / name), "method": method}
    own["model"] = model.strip() if isinstance(model, str) and model.strip() else bench.settings.model
    if clash := sorted(own.keys() & given.keys()):
        raise BadRequest(f"settings holds {clash[0]}, which has a field of its own.")
    try:
        return _KINDS[kind](**(given | own))
    except TypeError as error:
        raise BadRequest(f"settings holds a name or a value that `train {kind}` does not know: {error}.") from error


def _next(
    steps: Generator[FineTuneProgress, None, Trained],
) -> tuple[FineTuneProgress | None, Trained | None]:
    """The next progress, or what came out."""
    try:
        return next(steps), None
    except StopIteration as end:
        trained: Trained = end.value
        return None, trained
