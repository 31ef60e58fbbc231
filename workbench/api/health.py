"""Whether the workbench is well: its process, and its first model."""

import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

from workbench.api.refusals import refusal
from workbench.engine.jobs import Sampling
from workbench.manager import ModelManager, ModelSpec
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Generate

PROBE = Generate(prompt="Once", max_new_tokens=1, sampling=Sampling(temperature=0.0), lookup=False)
PROBE_SECONDS, KEPT_SECONDS = 2.0, 10.0
"""How long a probe may take, and how long its answer is good."""


@dataclass
class Probe:
    """Decodes one real token with the first model; `_lock` lets one probe at a time run."""

    manager: ModelManager
    spec: ModelSpec
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _at: float = float("-inf")
    _why: str = ""

    def why_not_ready(self) -> str:
        """Why no text can be written now; empty: one can. Never loads a model."""
        with self._lock:
            if time.monotonic() - self._at > KEPT_SECONDS:
                self._why = self._decoded()
                self._at = time.monotonic() if not self._why else float("-inf")
            return self._why

    def _decoded(self) -> str:
        if not self.manager.is_loaded(self.spec):
            return "The first model is not loaded."
        try:
            with self.manager.lease(self.spec) as model:
                return _written_by(model)
        except Exception as error:
            return refusal(error).message


def _written_by(model: LanguageModel) -> str:
    """Why a model writes nothing; empty: a token came, or it is computing for those who asked before."""
    steps, until = model.engine.steps, time.monotonic() + PROBE_SECONDS
    with closing(model.stream(PROBE)) as snapshots:
        for snapshot in snapshots:  # comes a few times a second, with or without a token
            if snapshot.finish_reason is not None:
                return ""
            if time.monotonic() > until:
                break
    return "" if model.engine.steps > steps else f"No token came within {PROBE_SECONDS:g} seconds."
