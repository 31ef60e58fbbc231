"""The page's endpoints as tools of an MCP server, asked by a real MCP client, and the switch for them."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ui.fake_runs import bench
from tests.ui.serving import behind_the_guard
from workbench.errors import BadRequest, MissingDependency
from workbench.settings import Settings, read_settings
from workbench.ui import web
from workbench.ui.web import build, launch_options

TOOLS = {
    "answer", "classify", "compare", "evaluate", "generate", "load", "models", "plan", "precision", "runs", "train",
    "unload",
}  # fmt: skip


def test_it_is_off_unless_it_is_switched_on() -> None:
    assert launch_options()["mcp_server"] is False
    assert read_settings({}).mcp is False and read_settings({"WORKBENCH_MCP": "1"}).mcp is True


def test_another_value_is_refused() -> None:
    with pytest.raises(BadRequest, match="WORKBENCH_MCP"):
        read_settings({"WORKBENCH_MCP": "perhaps"})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"gradio\[mcp\]"):
        launch_options(mcp=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("mcp")
    page = build(bench(tmp_path_factory.mktemp("bench")))
    url = behind_the_guard(page, Settings(mcp=True))
    yield f"{url.rstrip('/')}/gradio_api/mcp/"
    page.close()


def asked(address: str, tool: str | None = None, **values: Any) -> Any:
    """The tools' names, or what one of them answers."""
    from_client = pytest.importorskip("mcp.client.streamable_http").streamablehttp_client
    session_of = pytest.importorskip("mcp").ClientSession

    async def ask() -> Any:
        async with from_client(address) as (read, write, _), session_of(read, write) as session:
            await session.initialize()
            if tool is None:
                return {found.name: found for found in (await session.list_tools()).tools}
            return await session.call_tool(tool, values)

    return asyncio.run(asyncio.wait_for(ask(), 60))


def test_every_tabs_action_is_a_tool_that_says_what_it_does(address: str) -> None:
    tools = asked(address)
    assert set(tools) == TOOLS
    assert all(len(tool.description or "") > 40 for tool in tools.values())
    assert "prompt" in tools["generate"].inputSchema["properties"]


def test_a_tool_answers(address: str) -> None:
    answer = asked(address, "models")
    assert not answer.isError
    assert "demo" in json.dumps([part.model_dump(mode="json") for part in answer.content])


def test_a_tools_error_is_told_as_one(address: str) -> None:
    answer = asked(address, "compare", runs="nothing", metric="")
    assert answer.isError
