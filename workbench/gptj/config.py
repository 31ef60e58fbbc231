"""GPT-J's configuration, under the published names (`config.json` of the checkpoints)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ALIASES = {
    "max_position_embeddings": "n_positions",
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
"""Other names that published configurations use for the same field."""

LARGEST = {"vocab_size": 2**20, "n_positions": 2**20, "n_embd": 2**15, "n_layer": 256, "n_head": 1024, "n_inner": 2**18}
"""Bounds far above any GPT-J: a value past one of them is a broken or hostile file, not a model."""


ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh", "gelu", "relu", "silu")
PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")


@dataclass
class GPTJConfig:
    """The shape and the settings of a GPT-J; the defaults are GPT-J-6B's.

    Raises:
        ValueError: a value is impossible; the message names the field.
    """

    vocab_size: int = 50400
    """Rows of the embedding; may exceed the tokenizer's entries."""
    n_positions: int = 2048
    """The context: the largest number of tokens, prompt and continuation together."""
    n_embd: int = 4096
    n_layer: int = 28
    n_head: int = 16
    rotary_dim: int | None = 64
    """Leading dimensions of each head that are rotated; even. None means the whole head width."""
    n_inner: int | None = None
    """Width of the MLP; None means 4 * n_embd."""
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.0
    embd_pdrop: float = 0.0
    attn_pdrop: float = 0.0
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    use_cache: bool = True
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256
    """The token that ends a text, or several."""
    pad_token_id: int | None = None
    """-1, which some files write, means None."""
    tie_word_embeddings: bool = False
    num_labels: int = 2
    """Outputs of a classification head; a span head needs exactly 2."""
    problem_type: str | None = None
    """"regression", "single_label_classification", "multi_label_classification", or None: told by the labels."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Keys of config.json that the network does not use; kept, and written back by `to_dict`."""

    def __post_init__(self) -> None:
        self._normalise()
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "num_labels"):
            self._check_size(name, getattr(self, name))
        if self.n_inner is not None:
            self._check_size("n_inner", self.n_inner)
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd must be divisible by n_head (embed_dim by num_attention_heads); "
                f"got n_embd={self.n_embd}, n_head={self.n_head}"
            )
        self._check_rotary()
        self._check_choice("activation_function", ACTIVATIONS)
        self._check_choice("problem_type", PROBLEM_TYPES)
        self._check_numbers()

    @property
    def head_width(self) -> int:
        """D: the width of one attention head."""
        return self.n_embd // self.n_head

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """The ids of `eos_token_id`, none, one or several."""
        return as_ids(self.eos_token_id)

    @property
    def inner_width(self) -> int:
        """The width of the MLP."""
        return self.n_inner if self.n_inner is not None else 4 * self.n_embd

    @property
    def rotated_width(self) -> int:
        """How many leading dimensions of a head are rotated."""
        return self.rotary_dim if self.rotary_dim is not None else self.head_width

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "GPTJConfig":
        """A configuration from the keys of a `config.json`; unknown keys are kept in `extra`.

        Raises:
            ValueError: another architecture, or an impossible value.
        """
        model_type = values.get("model_type", "gptj")
        if model_type != "gptj":
            raise ValueError(f"model_type is {model_type!r}, and this workbench runs 'gptj' only")
        names = {f.name for f in dataclasses.fields(cls)} - {"extra"}
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, value in values.items():
            name = ALIASES.get(key, key)
            if name in names:
                known[name] = value
            elif key not in ("model_type", "extra"):
                extra[key] = value
        labels = extra.get("id2label")
        if "num_labels" not in known and isinstance(labels, dict) and labels:
            known["num_labels"] = len(labels)
        return cls(**known, extra=extra)

    def to_dict(self) -> dict[str, Any]:
        """The keys of a `config.json`."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "extra"}
        return {"model_type": "gptj", **self.extra, **values}

    def _normalise(self) -> None:
        """Other spellings that published files use for the same meaning."""
        if self.activation_function == "swish":
            self.activation_function = "silu"
        if self.use_cache is None:
            self.use_cache = True
        if self.pad_token_id == -1:
            self.pad_token_id = None
        if isinstance(self.eos_token_id, (list, tuple)):
            self.eos_token_id = list(self.eos_token_id)  # its own, so that no other configuration changes it

    def _check_size(self, name: str, value: object) -> None:
        largest = LARGEST.get(name, 2**20)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
            raise ValueError(f"{name} must be a whole number from 1 to {largest}; got {value!r}")

    def _check_choice(self, name: str, choices: tuple[str | None, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}")

    def _check_rotary(self) -> None:
        rotated = self.rotated_width
        if (
            not isinstance(rotated, int)
            or isinstance(rotated, bool)
            or not 2 <= rotated <= self.head_width
            or rotated % 2
        ):
            raise ValueError(
                f"rotary_dim must be an even number from 2 to the head width n_embd / n_head = {self.head_width}; "
                f"got {self.rotary_dim!r}"
            )

    def _check_numbers(self) -> None:
        for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1; got {value!r}")
        for name in ("layer_norm_epsilon", "initializer_range"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value <= 1000:
                raise ValueError(f"{name} must be a number from 0 to 1000; got {value!r}")
        for name in ("bos_token_id", "pad_token_id"):
            if getattr(self, name) is not None and not _is_id(getattr(self, name)):
                raise ValueError(f"{name} must be a token id or null; got {getattr(self, name)!r}")
        ends = self.eos_token_id if isinstance(self.eos_token_id, list) else [self.eos_token_id]
        if self.eos_token_id is not None and not all(map(_is_id, ends)):
            raise ValueError(f"eos_token_id must be a token id, a list of them or null; got {self.eos_token_id!r}")
        for name in ("use_cache", "tie_word_embeddings"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false; got {getattr(self, name)!r}")


def as_ids(tokens: int | Sequence[int] | None) -> tuple[int, ...]:
    """Token ids given as none, one or several."""
    if tokens is None:
        return ()
    return (tokens,) if isinstance(tokens, int) else tuple(tokens)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
