"""A local page answers its owner, and no website that is open in the owner's browser."""

import pytest

from workbench.guard.origins import refused_origin

OWN = "127.0.0.1:7860"


def status(method: str = "POST", local: bool = True, hosts: tuple[str, ...] = (), **headers: str) -> int | None:
    """Of the refusal, if there is one."""
    named = {"host": OWN, **{name.replace("_", "-"): value for name, value in headers.items()}}
    refusal = refused_origin(method, named, hosts, local)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "127.0.0.1", "localhost:9000", "LOCALHOST", "[::1]:7860"])
def test_this_machines_own_names_are_answered(host: str) -> None:
    assert status("GET", host=host) is None


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5:7860", "",
    "127.0.0.1@evil.example", "[::1", "[bad]:1", "127.0.0.1:7860,evil.example",
])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_name_that_was_pointed_to_this_machine_is_not(host: str, method: str) -> None:
    assert status(method, host=host) == 421


def test_a_name_that_the_owner_allows_is_answered() -> None:
    assert status("GET", hosts=("bench.lan",), host="Bench.lan:7860") is None


@pytest.mark.parametrize("origin", [
    "http://evil.example", "https://127.0.0.1.evil.example", "null", "http://localhost:7860",
    "http://127.0.0.1:3000", "",
])  # fmt: skip
def test_another_website_can_send_nothing(origin: str) -> None:
    assert status(origin=origin) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_the_browser_says_comes_from_elsewhere_is_not_taken(site: str) -> None:
    assert status(sec_fetch_site=site) == 403


def test_the_page_itself_may_send() -> None:
    assert status(origin=f"http://{OWN}", sec_fetch_site="same-origin") is None


def test_programs_that_name_no_origin_may_send() -> None:
    assert status() is None


def test_a_link_on_another_website_may_lead_here() -> None:
    assert status("GET", sec_fetch_site="cross-site", origin="http://evil.example") is None


def test_a_public_page_answers_to_any_name_and_origin() -> None:
    assert status(local=False, host="me-workbench.hf.space", origin="https://huggingface.co") is None


def test_a_public_page_with_names_answers_to_those_alone() -> None:
    assert status(local=False, hosts=("a.example",), host="a.example") is None
    assert status(local=False, hosts=("a.example",), host="b.example") == 421
