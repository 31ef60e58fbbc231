"""TFGPTJModel and its heads, as published: GPT-J for TensorFlow, in Keras 3."""

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import ArrayLike, NDArray

from workbench.errors import BadRequest
from workbench.gptj import heads, model
from workbench.gptj.config import GPTJConfig
from workbench.gptj.heads import QuestionAnsweringOutput, SequenceClassifierOutput
from workbench.gptj.model import CausalLMOutput, ModelOutput
from workbench.twins.greedy import as_prompt, continued, new_tokens
from workbench.twins.tf_losses import causal_loss, classification_loss, span_loss
from workbench.twins.tf_network import Pair, TFGPTJLMHead, dense, ops
from workbench.twins.tf_pretrained import TFGPTJPreTrainedModel

__all__ = [
    "GPTJConfig",
    "TFGPTJForCausalLM",
    "TFGPTJForQuestionAnswering",
    "TFGPTJForSequenceClassification",
    "TFGPTJModel",
]


class TFGPTJModel(TFGPTJPreTrainedModel):
    """The trunk without a head."""

    torch_class = model.GPTJModel

    def __init__(self, config: GPTJConfig, dtype: Any = None):
        super().__init__(config, dtype)
        self.build()

    def call(
        self,
        input_ids: Any = None,
        past_key_values: tuple[Pair, ...] | None = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        training: bool = False,
    ) -> ModelOutput:
        """Runs the trunk over (B, T) token ids, or (B, T, C) embeddings.

        Args:
            past_key_values: of earlier tokens, for each layer keys and values (B, H, S, D); the output has the next.
            attention_mask: (B, S) with 0 at padding, earlier tokens included.
            token_type_ids: (B, T), embedded by the token embedding and added.
            position_ids: (B, T); None counts from the cached tokens on, padding or not.
            use_cache: give `past_key_values` back; None takes the configuration's `use_cache`.

        Raises:
            BadRequest: both or neither of ids and embeddings. TooLong: more tokens than `n_positions`.
        """
        given: ModelOutput = self.transformer(
            input_ids, past_key_values, attention_mask, token_type_ids, position_ids, inputs_embeds,
            use_cache=self.caches(use_cache), output_attentions=output_attentions,
            output_hidden_states=output_hidden_states, training=training,
        )  # fmt: skip
        return given


class TFGPTJForCausalLM(TFGPTJPreTrainedModel):
    """The trunk with a language-model head."""

    torch_class = model.GPTJForCausalLM

    def __init__(self, config: GPTJConfig, dtype: Any = None):
        super().__init__(config, dtype)
        self.lm_head = TFGPTJLMHead(config, self.dtype_policy)
        self.build()

    def call(
        self,
        input_ids: Any = None,
        past_key_values: tuple[Pair, ...] | None = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        training: bool = False,
    ) -> CausalLMOutput:
        """Next-token logits (B, T, V), and the loss when labels are given; the other arguments are the trunk's.

        Args:
            labels: (B, T) token ids, shifted here; -100 is left out of the mean.
        """
        trunk = self.transformer(
            input_ids, past_key_values, attention_mask, token_type_ids, position_ids, inputs_embeds,
            use_cache=self.caches(use_cache), output_attentions=output_attentions,
            output_hidden_states=output_hidden_states, training=training,
        )  # fmt: skip
        shared = ops.transpose(self.transformer.wte.embeddings) if self.config.tie_word_embeddings else None
        logits = self.lm_head(trunk.last_hidden_state, shared)
        loss = None if labels is None else causal_loss(logits, labels)
        return CausalLMOutput(loss, logits, trunk.past_key_values, trunk.hidden_states, trunk.attentions)

    def generate(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None = None,
        max_length: int | None = None,
        max_new_tokens: int | None = None,
        eos_token_id: int | Sequence[int] | None = None,
        pad_token_id: int | None = None,
    ) -> Any:
        """Continues each row of (B, T) ids, padded on the left, with its likeliest tokens.

        Raises:
            BadRequest: no room for a token, or padding on the right. TooLong: the context is too short.
        """
        ids, mask = as_prompt(input_ids, attention_mask)
        count = new_tokens(ids.shape[1], max_length, max_new_tokens, self.config)
        past: Any = None

        def step(fresh: NDArray, mask: NDArray, positions: NDArray) -> NDArray:
            nonlocal past
            output = self(fresh, past, mask, position_ids=positions, use_cache=True)
            past = output.past_key_values
            return numpy.asarray(ops.cast(output.logits[:, -1], "float32"))

        return ops.convert_to_tensor(continued(step, ids, mask, count, self.config, eos_token_id, pad_token_id))


class TFGPTJForSequenceClassification(TFGPTJPreTrainedModel):
    """The trunk with a linear head on the last token that is not padding."""

    torch_class = heads.GPTJForSequenceClassification

    def __init__(self, config: GPTJConfig, dtype: Any = None):
        super().__init__(config, dtype)
        self.score = dense(config, config.num_labels, "score", self.dtype_policy, use_bias=False)
        self.build()

    def call(
        self,
        input_ids: Any = None,
        past_key_values: tuple[Pair, ...] | None = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        training: bool = False,
    ) -> SequenceClassifierOutput:
        """Logits (B, num_labels), and the loss when labels are given; the other arguments are the trunk's.

        Args:
            labels: (B,) class numbers, (B,) or (B, 1) numbers to regress, or (B, num_labels) zeros and ones.
        """
        trunk = self.transformer(
            input_ids, past_key_values, attention_mask, token_type_ids, position_ids, inputs_embeds,
            use_cache=self.caches(use_cache), output_attentions=output_attentions,
            output_hidden_states=output_hidden_states, training=training,
        )  # fmt: skip
        hidden = trunk.last_hidden_state
        last = self._last_tokens(input_ids, attention_mask, hidden)
        logits = self.score(ops.squeeze(ops.take_along_axis(hidden, last[:, None, None], 1), 1))
        loss = None if labels is None else classification_loss(logits, labels, self.config)
        return SequenceClassifierOutput(loss, logits, trunk.past_key_values, trunk.hidden_states, trunk.attentions)

    def _last_tokens(self, input_ids: Any, mask: Any, hidden: Any) -> Any:
        """(B,) the index of each row's last token: by the mask, else by the pad token, else the very last."""
        count, tokens, _ = ops.shape(hidden)
        pad = self.config.pad_token_id
        if mask is not None:
            real = mask[:, -tokens:]
        elif pad is not None and input_ids is not None:
            real = input_ids != pad
        elif count == 1 or (pad is not None and input_ids is None):
            return ops.zeros((count,), "int32") + tokens - 1
        else:
            raise BadRequest(
                "Cannot handle batch sizes > 1 if no padding token is defined. "
                "Pass attention_mask, or set config.pad_token_id."
            )
        return ops.argmax(ops.arange(tokens) * ops.cast(real, "int32"), -1)


class TFGPTJForQuestionAnswering(TFGPTJPreTrainedModel):
    """The trunk with a linear head that scores each token as an answer's start and end."""

    torch_class = heads.GPTJForQuestionAnswering

    def __init__(self, config: GPTJConfig, dtype: Any = None):
        if config.num_labels != 2:
            raise BadRequest(f"Question answering needs num_labels=2 (a start and an end); got {config.num_labels}.")
        super().__init__(config, dtype)
        self.qa_outputs = dense(config, config.num_labels, "qa_outputs", self.dtype_policy)
        self.build()

    def call(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        start_positions: Any = None,
        end_positions: Any = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        training: bool = False,
    ) -> QuestionAnsweringOutput:
        """Start and end logits (B, T), and the loss when both positions, (B,), are given.

        Positions outside the text are clamped to its length, and that one is left out of the loss.
        """
        trunk = self.transformer(
            input_ids, None, attention_mask, token_type_ids, position_ids, inputs_embeds,
            output_attentions=output_attentions, output_hidden_states=output_hidden_states, training=training,
        )  # fmt: skip
        start_logits, end_logits = ops.unstack(self.qa_outputs(trunk.last_hidden_state), 2, -1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = (span_loss(start_logits, start_positions) + span_loss(end_logits, end_positions)) / 2
        return QuestionAnsweringOutput(loss, start_logits, end_logits, trunk.hidden_states, trunk.attentions)
