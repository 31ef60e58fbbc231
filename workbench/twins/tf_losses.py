"""The losses of the TensorFlow twins, those of `gptj/`: scalars in float32."""

from typing import Any

from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import IGNORED_LABEL
from workbench.twins.tf_network import keras, ops


def causal_loss(logits: Any, labels: Any) -> Any:
    """Mean cross-entropy in nats of predicting labels[:, t + 1] at t: (B, T, V), (B, T) -> a scalar."""
    return cross_entropy(logits[:, :-1], labels[:, 1:], IGNORED_LABEL)


def cross_entropy(logits: Any, labels: Any, ignored: Any) -> Any:
    """The mean over all labels but the ignored ones: (..., K), (...) -> a scalar, NaN if none is left."""
    kept = ops.cast(labels != ignored, "float32")
    targets = ops.where(labels != ignored, labels, 0)
    each = ops.sparse_categorical_crossentropy(targets, ops.cast(logits, "float32"), from_logits=True)
    return ops.sum(each * kept) / ops.sum(kept)


def classification_loss(logits: Any, labels: Any, config: GPTJConfig) -> Any:
    """Squared error, cross-entropy or binary cross-entropy, by `problem_type` or else by the labels' type."""
    problem = config.problem_type
    if problem is None:
        several = keras.backend.is_float_dtype(labels.dtype)
        problem = "multi_label_classification" if several else "single_label_classification"
        problem = "regression" if config.num_labels == 1 else problem
    logits = ops.cast(logits, "float32")
    if problem == "single_label_classification":
        return cross_entropy(logits, ops.reshape(labels, (-1,)), IGNORED_LABEL)
    labels = ops.reshape(ops.cast(labels, "float32"), ops.shape(logits))
    if problem == "regression":
        return ops.mean(ops.square(logits - labels))
    return ops.mean(ops.binary_crossentropy(labels, logits, from_logits=True))


def span_loss(logits: Any, positions: Any) -> Any:
    """Cross-entropy of one end of the span, an end outside of the text left out: (B, T), (B,) or (B, 1) -> a scalar."""
    tokens = ops.shape(logits)[1]
    return cross_entropy(logits, ops.clip(ops.reshape(positions, (-1,)), 0, tokens), tokens)
