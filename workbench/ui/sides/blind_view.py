"""The vote below a blind comparison, what it reveals, and what all votes come to."""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.ui.bench import Bench, Page
from workbench.ui.components import QUIET
from workbench.ui.generate.figures import figures
from workbench.ui.generate.generate_columns import Column, Shown
from workbench.ui.parts import notice, told
from workbench.ui.sides.blind import vote_on
from workbench.ui.sides.sides import Sides
from workbench.ui.sides.votes import BAD, TIE, Tally, Vote, tallies

Updates = dict[Any, Any]

_NO_VOTES = '<p class="empty">No votes yet: tick Blind comparison, generate, and say which text is better.</p>'

_UNLESS_WRITING = "(shown, blind, ...lenses) => [shown, blind || !document.querySelector('#stop').disabled, ...lenses]"
"""Unticking reveals nothing while the texts are being written."""


@dataclass(frozen=True)
class Ballot:
    """The components of a vote, and those that it reveals."""

    place: gr.Row
    """Visible while there is something to vote on."""
    left: gr.Button
    middle: gr.Button
    right: gr.Button
    tie: gr.Button
    bad: gr.Button
    message: gr.HTML
    tally: gr.HTML
    download: gr.DownloadButton
    heads: Sequence[gr.HTML]
    columns: Sequence[Column]

    def parts(self) -> set[Any]:
        """What `shown` updates."""
        return {self.place, self.middle, self.bad, self.message}

    def shown(self, shown: Shown | None) -> Updates:
        """The vote on what the columns show, where there is one."""
        count = len(shown.columns) if shown is not None and shown.blind and shown.ended else 0
        return {
            self.place: gr.Row(visible=count > 0),
            self.middle: gr.Button(visible=count > 2),
            self.bad: gr.Button("All are bad" if count > 2 else "Both are bad"),
            self.message: "",
        }

    def reveals(self) -> list[Any]:
        """What `revealed` updates."""
        own = [part for column in self.columns for part in (column.tokens, column.figures)]
        return [*self.heads, *own, *self.parts()]

    def revealed(self, known: Shown, lenses: Sequence[str]) -> Updates:
        """Names and figures of what was blind until now; the vote is over.

        Args:
            lenses: the values of the columns' lenses.
        """
        told: Updates = dict(zip(self.heads, known.heads(), strict=False))
        for column, asked, value in zip(self.columns, known.columns, known.lenses(lenses), strict=False):
            told |= {column.tokens: value, column.figures: asked.figures or figures()}
        return told | self.shown(None)

    def counted(self, bench: Bench) -> Updates:
        """What all votes come to.

        Every visitor's prompts and texts stand in the file: it is handed out on this machine alone.
        """
        found, local = tallies(bench.votes.read()), bench.settings.serves_locally
        saved = None
        if found and local:
            folder = Path(self.download.GRADIO_CACHE) / secrets.token_hex(16)
            folder.mkdir(parents=True)
            saved = str(shutil.copy(bench.votes.path, folder / "blind-votes.jsonl"))
        download = gr.DownloadButton(value=saved, interactive=saved is not None, visible=local)
        return {self.tally: tally_markup(found), self.download: download}


def ballot_view(sides: Sides, heads: Sequence[gr.HTML], columns: Sequence[Column]) -> Ballot:
    """Draws the vote, and below it what all votes come to; both stand there only with two sides or more."""
    plain: dict[str, Any] = {"js_on_load": None, "apply_default_css": False}
    with gr.Column(visible=False, elem_id="ballot") as whole:
        with gr.Row(visible=False, elem_id="vote") as place:
            left = gr.Button("Left is better", elem_id="vote-left", min_width=110)
            middle = gr.Button("Middle is better", elem_id="vote-middle", min_width=110, visible=False)
            right = gr.Button("Right is better", elem_id="vote-right", min_width=110)
            tie = gr.Button("Tie", elem_id="vote-tie", min_width=110)
            bad = gr.Button("Both are bad", elem_id="vote-bad", min_width=110)
        message = gr.HTML("", elem_id="vote-message", elem_classes="page-notice", **plain)
        with gr.Accordion("Blind votes", open=False, elem_id="blind-votes"):
            tally = gr.HTML(_NO_VOTES, elem_id="blind-tally", **plain)
            download = gr.DownloadButton("Save all votes", interactive=False, elem_id="save-votes", size="sm")
    sides.follow(1, whole)
    return Ballot(place, left, middle, right, tie, bad, message, tally, download, heads, columns)


def connect(page: Page, ballot: Ballot, shown: gr.State, blind: gr.Checkbox) -> None:
    """The events: a vote, `blind` unticked when nothing is being written, and the page's arrival."""
    revealed, lenses = [shown, *ballot.reveals()], [column.tokens for column in ballot.columns]
    counted = [ballot.tally, ballot.download]
    last = "last"
    choices = {last: ballot.right, "0": ballot.left, "1": ballot.middle, TIE: ballot.tie, BAD: ballot.bad}
    for name, button in choices.items():

        def vote(now: Shown | None, *values: str, name: str = name) -> Iterator[Updates]:
            known = now or Shown(())
            choice = str(len(known.columns) - 1) if name == last else name
            yield from told(_voted(page.bench, ballot, shown, known, choice, values), ballot.message)

        button.click(vote, [shown, *lenses], revealed + counted, **QUIET)

    def unticked(now: Shown | None, is_blind: bool, *values: str) -> Updates:
        if is_blind or now is None or not now.blind:
            return {shown: gr.skip()}
        known = now.revealed()
        return {shown: known} | ballot.revealed(known, values)

    blind.input(unticked, [shown, blind, *lenses], revealed, js=_UNLESS_WRITING, **QUIET)
    page.blocks.load(lambda: ballot.counted(page.bench), None, counted, **QUIET)


def _voted(
    bench: Bench, ballot: Ballot, shown: gr.State, now: Shown, choice: str, lenses: Sequence[str]
) -> Iterator[Updates]:
    """Keeps a vote, then tells who wrote what."""
    vote = vote_on(now, choice)
    bench.votes.append(vote)
    known = now.revealed()
    message = notice("good", _said(vote), "The vote is kept. The names and figures stand above now.")
    yield {shown: known} | ballot.revealed(known, lenses) | ballot.counted(bench) | {ballot.message: message}


def _said(vote: Vote) -> str:
    words = {TIE: "A tie", BAD: "Bad, all of them" if len(vote.contenders) > 2 else "Bad, both of them"}
    return f"Better: {vote.winner}" if vote.winner is not None else words[vote.choice]


def tally_markup(found: Sequence[Tally]) -> str:
    """A table for each group of models that were compared."""
    if not found:
        return _NO_VOTES
    return "".join(_table(tally) for tally in found)


def _table(tally: Tally) -> str:
    rows = [*((name, tally.wins[name]) for name in tally.names), ("Ties", tally.ties), ("All bad", tally.bad)]
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{count}</td><td class="share">'
        f'<span class="track"><i style="width:{100 * count / tally.votes:.0f}%"></i></span></td></tr>'
        for name, count in rows
    )
    caption = f"{tally.votes} vote{'s' if tally.votes != 1 else ''}"
    return f'<table class="tally"><caption>{caption}</caption><tbody>{cells}</tbody></table>'
