"""GPT-J Workbench: generation, classification, question answering and evaluation around our own GPT-J.

The published classes are here under their published names; they are imported when first asked for, so that
`import workbench` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.published import (
        GPTJConfig,
        GPTJForCausalLM,
        GPTJForQuestionAnswering,
        GPTJForSequenceClassification,
        GPTJModel,
        Tokenizer,
    )

__all__ = [
    "GPTJConfig",
    "GPTJForCausalLM",
    "GPTJForQuestionAnswering",
    "GPTJForSequenceClassification",
    "GPTJModel",
    "Tokenizer",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("workbench.published"), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")
