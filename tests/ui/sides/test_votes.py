"""The votes of blind comparisons on disk, and what they come to."""

from pathlib import Path

import pytest

from workbench.errors import NotSaved
from workbench.ui.sides import votes
from workbench.ui.sides.votes import BAD, TIE, Contender, Vote, VoteStore, tallies


def vote(choice: str = "0", names: tuple[str, ...] = ("demo", "demo · int8"), text: str = "Once") -> Vote:
    """A vote on these contenders."""
    found = tuple(Contender(name, "demo", None, None, {"seed": 7}, text) for name in names)
    return Vote("2026-01-02T03:04:05+00:00", "Tell me", found, choice)


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    store = VoteStore(tmp_path / "runs")
    given = [vote("0"), vote(TIE), vote(BAD)]
    for one in given:
        store.append(one)
    assert store.read() == given
    assert len(store.path.read_bytes().splitlines()) == 3


def test_there_are_no_votes_before_the_first(tmp_path: Path) -> None:
    assert VoteStore(tmp_path).read() == []


@pytest.mark.parametrize("text", ["\ud800", "line\nbreak\r\u2028end", "<script>", "\x00"])
def test_any_text_stays_on_its_line(tmp_path: Path, text: str) -> None:
    store = VoteStore(tmp_path)
    store.append(vote(text=text))
    store.append(vote())
    assert [one.contenders[0].text for one in store.read()] == [text, "Once"]


def test_a_line_that_a_crash_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    store.append(vote("0"))
    with open(store.path, "ab") as file:
        file.write(b'{"time": "2026')
    store.append(vote("1"))
    assert [one.choice for one in store.read()] == ["0", "1"]


@pytest.mark.parametrize("line", ["[]", "{}", "3", '{"contenders": 5}', '{"contenders": [{}]}', "not json", "\xff"])
def test_a_line_that_is_no_vote_is_passed_over(tmp_path: Path, line: str) -> None:
    store = VoteStore(tmp_path)
    store.append(vote())
    with open(store.path, "ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    assert len(store.read()) == 1


def test_a_choice_that_nobody_could_make_is_no_vote(tmp_path: Path) -> None:
    store = VoteStore(tmp_path)
    store.append(vote("2"))
    assert store.read() == []


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotSaved, match=r"votes\.jsonl can't be written"):
        VoteStore(tmp_path / "file").append(vote())


def test_a_full_file_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = VoteStore(tmp_path)
    store.append(vote())
    monkeypatch.setattr(votes, "LARGEST_BYTES", 500)
    with pytest.raises(NotSaved, match="is full"):
        store.append(vote(text="x" * 500))
    assert len(store.read()) == 1


def test_votes_are_counted_by_who_was_compared_wherever_they_stood() -> None:
    turned = ("demo · int8", "demo")
    given = [vote("0"), vote("1", turned), vote("0", turned), vote(TIE), vote(BAD), vote("1", ("x", "y"))]
    first, second = tallies(given)
    assert first.names == ("demo", "demo · int8") and first.votes == 5
    assert first.wins == {"demo": 2, "demo · int8": 1} and (first.ties, first.bad) == (1, 1)
    assert second.wins == {"y": 1}
