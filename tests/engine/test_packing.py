"""A plan feeds every token once, in passes as large as they may be, and shows each what it would see alone."""

from hypothesis import given
from hypothesis import strategies as st

from workbench.engine.packing import CONTEXT, Pass, Piece, planned, visible

lengths = st.lists(st.integers(0, 30), min_size=1, max_size=12)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[int, int, list[int], int, int]:
    """shared, context, branches, chunk, room."""
    context = draw(st.integers(1, 40))
    branches = draw(lengths)
    room = context + max(branches) + draw(st.integers(0, 30))
    return draw(st.integers(0, context - 1)), context, branches, draw(st.integers(1, 50)), room


@given(jobs())
def test_every_token_is_fed_once_and_in_order(job: tuple[int, int, list[int], int, int]) -> None:
    shared, context, branches, _, _ = job
    fed: dict[int, list[int]] = {CONTEXT: list(range(shared))}
    for step in planned(*job):
        for piece in step.pieces:
            assert piece.first < piece.last
            fed.setdefault(piece.branch, []).extend(range(piece.first, piece.last))
    expected = {branch: list(range(length)) for branch, length in enumerate(branches) if length}
    assert fed == {CONTEXT: list(range(context)), **expected}


@given(jobs())
def test_a_pass_is_no_larger_than_a_chunk_and_fits_the_room(job: tuple[int, int, list[int], int, int]) -> None:
    *_, chunk, room = job
    for step in planned(*job):
        assert 0 < step.tokens <= chunk and step.past + step.tokens <= room


@given(jobs())
def test_what_a_pass_goes_on_from_was_fed_in_the_pass_before(job: tuple[int, int, list[int], int, int]) -> None:
    shared, context, _, _, _ = job
    columns = [(CONTEXT, place) for place in range(shared)]
    for step in planned(*job):
        columns = columns[: step.past]
        first = step.pieces[0]
        before = [] if first.branch == CONTEXT else [(CONTEXT, place) for place in range(context)]
        assert columns == before + [(first.branch, place) for place in range(first.first)]
        columns += [(piece.branch, place) for piece in step.pieces for place in range(piece.first, piece.last)]


@given(jobs())
def test_each_token_sees_the_context_and_its_own_branch_alone(job: tuple[int, int, list[int], int, int]) -> None:
    shared, context, _, _, _ = job
    columns = [(CONTEXT, place) for place in range(shared)]
    for step in planned(*job):
        rows = [(piece.branch, place) for piece in step.pieces for place in range(piece.first, piece.last)]
        columns = columns[: step.past] + rows
        mask = visible(step, context)
        for row, (branch, place) in enumerate(rows):
            seen = range(step.past + row + 1) if mask is None else mask[0, 0, row].nonzero()[:, 0].tolist()
            ancestors = [(CONTEXT, one) for one in range(place + 1 if branch == CONTEXT else context)]
            own = [] if branch == CONTEXT else [(branch, one) for one in range(place + 1)]
            assert [columns[column] for column in seen] == ancestors + own


def test_an_ordinary_job_is_one_pass() -> None:
    assert list(planned(0, 60, [30, 0, 28, 31], 512, 2048)) == [
        Pass(0, [Piece(CONTEXT, 0, 60), Piece(0, 0, 30), Piece(2, 0, 28), Piece(3, 0, 31)])
    ]


def test_hundreds_of_short_continuations_share_a_few_passes() -> None:
    assert len(list(planned(0, 100, [4] * 300, 512, 2048))) == 3
