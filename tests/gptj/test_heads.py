"""The heads: which token a classification reads, and what each loss means."""

import pytest
import torch
from torch import Tensor

from tests.gptj.tiny import fill, tiny_config, tokens
from workbench.gptj.config import GPTJConfig
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification

PAD = 0


def classifier(num_labels: int = 3, pad_token_id: int | None = PAD) -> GPTJForSequenceClassification:
    return fill(GPTJForSequenceClassification(tiny_config(num_labels=num_labels, pad_token_id=pad_token_id)), 0)


def scores_at(model: GPTJForSequenceClassification, ids: Tensor, at: int) -> Tensor:
    """The head on token `at` of one row."""
    return model.score(model.transformer(ids).last_hidden_state[:, at])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_right_padded_row_is_read_at_its_last_token() -> None:
    model, ids = classifier(), tokens(2, 6)
    ids[0, 4:] = PAD
    logits = model(ids).logits
    close(logits[:1], scores_at(model, ids[:1, :4], -1))
    close(logits[1:], scores_at(model, ids[1:], -1))


def test_a_left_padded_row_is_read_at_its_end() -> None:
    model, ids = classifier(), tokens(1, 6)
    ids[0, :2] = PAD
    close(model(ids).logits, scores_at(model, ids, 5))


def test_the_rightmost_real_token_counts_though_padding_stands_before_it() -> None:
    model, ids = classifier(), tokens(1, 6)
    ids[0, 2], ids[0, 5] = PAD, PAD
    close(model(ids).logits, scores_at(model, ids, 4))


def test_the_mask_tells_a_padding_token_that_belongs_to_the_text() -> None:
    model, ids = classifier(), tokens(2, 6)
    ids[0, 5] = PAD
    close(model(ids, attention_mask=torch.ones(2, 6)).logits[:1], scores_at(model, ids[:1], 5))


def test_the_mask_serves_where_no_padding_token_is_known() -> None:
    model, ids = classifier(pad_token_id=None), tokens(2, 6)
    mask = torch.tensor([[1, 1, 1, 0, 0, 0], [1] * 6])
    close(model(ids, attention_mask=mask).logits[:1], scores_at(model, ids[:1, :3], -1))


def test_several_rows_without_a_way_to_tell_padding_are_refused() -> None:
    model = classifier(pad_token_id=None)
    with pytest.raises(ValueError, match="Cannot handle batch sizes > 1 if no padding token is defined"):
        model(tokens(2, 4))


def test_one_row_without_a_padding_token_is_read_at_its_end() -> None:
    model, ids = classifier(pad_token_id=None), tokens(1, 6)
    close(model(ids).logits, scores_at(model, ids, 5))


def test_embeddings_are_read_at_their_end() -> None:
    model, ids = classifier(), tokens(2, 6)
    ids[0, 4:] = PAD
    close(model(inputs_embeds=model.transformer.wte(ids)).logits[:1], scores_at(model, ids[:1], 5))


def test_the_classification_head_has_no_bias() -> None:
    assert [name for name in classifier().state_dict() if name.startswith("score")] == ["score.weight"]


def test_single_labels_cost_their_surprise() -> None:
    model, ids, labels = classifier(), tokens(2, 5), torch.tensor([2, 0])
    output = model(ids, labels=labels)
    logprobs = torch.log_softmax(output.logits, -1)
    assert output.loss.item() == pytest.approx(-(logprobs[0, 2] + logprobs[1, 0]).item() / 2, abs=1e-6)


def test_one_number_costs_its_squared_error() -> None:
    model, ids = classifier(num_labels=1), tokens(2, 5)
    for labels in (torch.tensor([0.5, -1.0]), torch.tensor([[0.5], [-1.0]])):
        output = model(ids, labels=labels)
        errors = output.logits.squeeze() - labels.squeeze()
        assert output.loss.item() == pytest.approx(errors.square().mean().item(), abs=1e-6)


def test_float_labels_are_several_yes_or_no_questions() -> None:
    model, ids, labels = classifier(), tokens(2, 5), torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    output = model(ids, labels=labels)
    chances = torch.sigmoid(output.logits)
    likely = torch.where(labels.bool(), chances, 1 - chances)
    assert output.loss.item() == pytest.approx(-likely.log().mean().item(), abs=1e-6)


def test_the_configured_problem_goes_before_the_labels_type() -> None:
    config = GPTJConfig.from_dict({**tiny_config(num_labels=3).to_dict(), "problem_type": "multi_label_classification"})
    model, ids = fill(GPTJForSequenceClassification(config), 0), tokens(1, 5)
    whole = torch.tensor([[1, 0, 1]])
    close(model(ids, labels=whole).loss, model(ids, labels=whole.float()).loss)


def test_losses_do_not_change_the_configuration() -> None:
    model = classifier()
    model(tokens(2, 5), labels=torch.tensor([2, 0]))
    assert model.config.problem_type is None
    assert model(tokens(1, 5), labels=torch.tensor([[1.0, 0, 1]])).loss.isfinite()


def answerer() -> GPTJForQuestionAnswering:
    return fill(GPTJForQuestionAnswering(tiny_config()), 0)


def test_the_span_loss_is_the_mean_of_both_ends() -> None:
    model, ids = answerer(), tokens(1, 5)
    output = model(ids, start_positions=torch.tensor([1]), end_positions=torch.tensor([3]))
    start, end = (torch.log_softmax(logits, -1)[0] for logits in (output.start_logits, output.end_logits))
    assert output.loss.item() == pytest.approx(-(start[1] + end[3]).item() / 2, abs=1e-6)


@pytest.mark.parametrize("outside", [5, 6, 1000])
def test_an_answer_past_the_text_is_left_out_of_the_loss(outside: int) -> None:
    model, ids = answerer(), tokens(2, 5)
    both = model(ids, start_positions=torch.tensor([1, outside]), end_positions=torch.tensor([3, outside]))
    first = model(ids[:1], start_positions=torch.tensor([1]), end_positions=torch.tensor([3]))
    close(both.loss, first.loss)


def test_an_answer_before_the_text_counts_as_its_first_token() -> None:
    model, ids = answerer(), tokens(1, 5)
    before = model(ids, start_positions=torch.tensor([-7]), end_positions=torch.tensor([2]))
    close(before.loss, model(ids, start_positions=torch.tensor([0]), end_positions=torch.tensor([2])).loss)


def test_positions_may_come_as_a_column() -> None:
    model, ids = answerer(), tokens(2, 5)
    start, end = torch.tensor([1, 2]), torch.tensor([3, 4])
    column = model(ids, start_positions=start[:, None], end_positions=end[:, None]).loss
    close(column, model(ids, start_positions=start, end_positions=end).loss)


def test_one_end_alone_gives_no_loss() -> None:
    assert answerer()(tokens(1, 5), start_positions=torch.tensor([1])).loss is None


def test_question_answering_needs_two_outputs() -> None:
    with pytest.raises(ValueError, match="num_labels=2"):
        GPTJForQuestionAnswering(tiny_config(num_labels=3))


def test_heads_grow_on_the_same_trunk() -> None:
    model, ids = classifier(), tokens(1, 4)
    spans = answerer()
    spans.transformer.load_state_dict(model.transformer.state_dict())
    hidden = model.transformer(ids).last_hidden_state
    output, head = spans(ids), spans.qa_outputs
    for column, logits in enumerate((output.start_logits, output.end_logits)):
        close(logits, hidden @ head.weight[column] + head.bias[column])
