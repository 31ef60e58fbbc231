"""What a caller may name, what is refused with which words, and that a long text costs each token once."""

import pytest

from tests.ui.fake import WORDS, FakeManager, scripted_token
from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench, asked_spec
from workbench.ui.generate import endpoints
from workbench.ui.generate.endpoints import Records, served_spec


def bench_of(host: str, manager: FakeManager | None = None) -> Bench:
    """A bench that serves at an address."""
    return Bench(Settings(host=host, precision="int8"), manager or FakeManager())  # type: ignore[arg-type]


def test_no_name_stands_for_the_first_model() -> None:
    first = ModelSpec("demo", precision="int8")
    for name in ("", "  ", None, "demo", " demo "):
        assert served_spec(bench_of("127.0.0.1"), name, None) == first


def test_a_precision_of_its_own_can_be_asked_for() -> None:
    assert served_spec(bench_of("0.0.0.0"), "", "nf4") == ModelSpec("demo", precision="nf4")


def test_a_public_page_serves_a_caller_no_other_model_and_says_so() -> None:
    with pytest.raises(BadRequest, match=r"'/etc' is not served here\. There are: demo.* its own machine alone"):
        served_spec(bench_of("0.0.0.0"), "/etc", "")
    assert served_spec(bench_of("127.0.0.1"), "/etc", "") == ModelSpec("/etc")


def test_a_public_page_serves_what_is_loaded_there() -> None:
    manager = FakeManager()
    manager.known = lambda: ["demo"]  # type: ignore[method-assign]
    bench = bench_of("0.0.0.0", manager)
    with pytest.raises(BadRequest, match="not served here"):
        served_spec(bench, "EleutherAI/gpt-j-6b", "")
    manager.load(ModelSpec("EleutherAI/gpt-j-6b"))
    assert served_spec(bench, "EleutherAI/gpt-j-6b", "") == ModelSpec("EleutherAI/gpt-j-6b")


@pytest.mark.parametrize("model, precision, name", [(5, "", "model"), (["demo"], "", "model"), ("", 8, "precision")])
def test_a_name_that_is_no_text_is_refused(model: object, precision: object, name: str) -> None:
    with pytest.raises(BadRequest, match=f"{name} is .* must be a text"):
        served_spec(bench_of("127.0.0.1"), model, precision)


def test_no_checkpoint_in_the_form_is_told() -> None:
    with pytest.raises(BadRequest, match="No checkpoint is named"):
        asked_spec("  ")
    assert asked_spec(" demo ", "", "", "cpu") == ModelSpec("demo", device_map="cpu")


def test_a_token_becomes_a_record_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    record = endpoints.token_record
    monkeypatch.setattr(endpoints, "token_record", lambda token: made.append(token.id) or record(token))
    records, tokens = Records(), [scripted_token(step, step) for step in range(len(WORDS))]
    shown = [records.of(tokens[:count]) for count in range(1, len(tokens) + 1)]
    assert made == list(range(len(WORDS)))
    assert [len(part) for part in shown] == list(range(1, len(tokens) + 1))
    assert all(later[0] is shown[0][0] for later in shown)
