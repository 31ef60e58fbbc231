"""The page's endpoints /models, /load and /unload: what the Models tab does, with plain values in and out."""

from typing import Any

from gradio.events import api

from workbench.errors import BadRequest
from workbench.manager import LoadedModel
from workbench.ui.bench import Bench, spec_name
from workbench.ui.generate.endpoints import page_error, served_spec


def model_endpoints(bench: Bench) -> None:
    """Registers /models, /load and /unload."""

    def models() -> dict[str, Any]:
        """The models that may be named: those in memory with their sizes and users, and those known here."""
        return {"loaded": [_record(model) for model in bench.manager.loaded()], "known": list(bench.specs())}

    def load(model: str = "", precision: str = "") -> dict[str, Any]:
        """Loads a model unless it is in memory, and tells its size and how long it took.

        model is a checkpoint (empty: the one served first), precision one of float32, bfloat16, float16, int8, nf4
        and int4 (empty: the checkpoint's own).
        """
        try:
            return _record(bench.manager.load(served_spec(bench, model, precision)))
        except Exception as error:
            raise page_error(error) from error

    def unload(model: str, precision: str = "") -> dict[str, Any]:
        """Frees a model's memory; nobody may be using it. Only where the page serves its own machine."""
        try:
            if not bench.settings.serves_locally:
                raise BadRequest("Others use the models of this page, so none is unloaded by a visitor.")
            bench.manager.unload(served_spec(bench, model, precision))
            return models()
        except Exception as error:
            raise page_error(error) from error

    api(models, api_name="models", concurrency_limit=4)
    api(load, api_name="load", concurrency_limit=2)
    api(unload, api_name="unload", concurrency_limit=2)


def _record(model: LoadedModel) -> dict[str, Any]:
    return {
        "name": spec_name(model.spec),
        "parameters": model.parameters,
        "weights_bytes": model.weights_bytes,
        "seconds": model.seconds,
        "in_use_by": model.leases,
        "served_by": model.served_by or None,
    }
