"""Heads on the trunk: sequence classification and extractive question answering."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.gptj.cache import KVCache
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJModel, init_weights


class SequenceClassifierOutput(NamedTuple):
    """What the classification head gives."""

    loss: Tensor | None
    logits: Tensor
    """(B, num_labels)."""
    past_key_values: KVCache | None
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class QuestionAnsweringOutput(NamedTuple):
    """What the span head gives."""

    loss: Tensor | None
    start_logits: Tensor
    """(B, T)."""
    end_logits: Tensor
    """(B, T)."""
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class GPTJForSequenceClassification(nn.Module):
    """The trunk with a linear head on the last token that is not padding."""

    def __init__(self, config: GPTJConfig):
        super().__init__()
        self.config = config
        self.transformer = GPTJModel(config)
        self.score = nn.Linear(config.n_embd, config.num_labels, bias=False)
        init_weights(self.score, config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: KVCache | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> SequenceClassifierOutput:
        """Logits of the labels, and the loss when labels are given; the other arguments are the trunk's.

        Args:
            labels: (B,) class numbers, (B,) or (B, 1) numbers to regress, or (B, num_labels) zeros and ones.

        Raises:
            ValueError: several rows, and neither a mask nor a pad token tells where each one ends.
        """
        trunk = self.transformer(
            input_ids, past_key_values, attention_mask, token_type_ids, position_ids, inputs_embeds,
            use_cache, output_attentions, output_hidden_states,
        )  # fmt: skip
        hidden = trunk.last_hidden_state
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        pooled = hidden[rows, self._last_tokens(input_ids, attention_mask, hidden)]  # (B, C)
        logits = self.score(pooled)
        loss = None if labels is None else classification_loss(logits, labels, self.config)
        return SequenceClassifierOutput(loss, logits, trunk.past_key_values, trunk.hidden_states, trunk.attentions)

    def _last_tokens(self, input_ids: Tensor | None, mask: Tensor | None, hidden: Tensor) -> Tensor:
        """(B,) the index of each row's last token: by the mask, else by the pad token, else the very last."""
        count, tokens = hidden.shape[:2]
        pad = self.config.pad_token_id
        if mask is not None and mask.dim() == 2:
            real = mask[:, -tokens:].bool()
        elif pad is not None and input_ids is not None:
            real = input_ids != pad
        elif count == 1 or (pad is not None and input_ids is None):
            return torch.full((count,), tokens - 1, device=hidden.device)
        else:
            raise ValueError(
                "Cannot handle batch sizes > 1 if no padding token is defined. "
                "Pass attention_mask, or set config.pad_token_id."
            )
        return (torch.arange(tokens, device=hidden.device) * real.to(hidden.device)).argmax(-1)


class GPTJForQuestionAnswering(nn.Module):
    """The trunk with a linear head that scores each token as an answer's start and end.

    Raises:
        ValueError: the configuration's num_labels is not 2.
    """

    def __init__(self, config: GPTJConfig):
        super().__init__()
        if config.num_labels != 2:
            raise ValueError(f"question answering needs num_labels=2 (a start and an end); got {config.num_labels}")
        self.config = config
        self.transformer = GPTJModel(config)
        self.qa_outputs = nn.Linear(config.n_embd, config.num_labels)
        init_weights(self.qa_outputs, config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> QuestionAnsweringOutput:
        """Start and end logits, and the loss when both positions, (B,), are given.

        Positions outside the text are clamped to its length, and that one is left out of the loss.
        """
        trunk = self.transformer(
            input_ids, None, attention_mask, token_type_ids, position_ids, inputs_embeds,
            False, output_attentions, output_hidden_states,
        )  # fmt: skip
        start_logits, end_logits = self.qa_outputs(trunk.last_hidden_state).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = (span_loss(start_logits, start_positions) + span_loss(end_logits, end_positions)) / 2
        return QuestionAnsweringOutput(loss, start_logits, end_logits, trunk.hidden_states, trunk.attentions)


def classification_loss(logits: Tensor, labels: Tensor, config: GPTJConfig) -> Tensor:
    """Squared error, cross-entropy or binary cross-entropy, by `problem_type` or else by the labels' type."""
    labels = labels.to(logits.device)
    problem = config.problem_type
    if problem is None:
        if config.num_labels == 1:
            problem = "regression"
        else:
            problem = "multi_label_classification" if labels.is_floating_point() else "single_label_classification"
    logits = logits.float()
    if problem == "regression":
        return F.mse_loss(logits.squeeze(), labels.squeeze().float())
    if problem == "single_label_classification":
        return F.cross_entropy(logits, labels.view(-1))
    return F.binary_cross_entropy_with_logits(logits, labels.float())


def span_loss(logits: Tensor, positions: Tensor) -> Tensor:
    """Cross-entropy of one end of the span: (B, T), (B,) or (B, 1) -> a scalar."""
    tokens = logits.shape[1]
    targets = positions.view(-1).clamp(0, tokens).to(logits.device)
    return F.cross_entropy(logits.float(), targets, ignore_index=tokens)
