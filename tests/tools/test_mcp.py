"""The MCP server, called by a real client over a process's stdin and stdout."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image
from typer.testing import CliRunner

from assistant.storage import SessionStore
from assistant.tools import PictureList, VisionResult, VisionToolkit
from assistant.tools.mcp_server import DRAWN_SIDE, create_server
from assistant.ui.cli import app
from assistant.ui.commands import serving
from assistant.vlm.drawing import draw
from assistant.vlm.errors import AssistantError

from .fakes import SAMPLES, FakeEngine

TOOLS = ["caption", "vqa", "refer", "detect", "ground", "identify", "list_pictures"]
FAKE = [sys.executable, "-m", "assistant.tests.tools.mcp_fake"]
COMMAND = [sys.executable, "-c", "from assistant.ui.cli import main; main()", "mcp"]


@asynccontextmanager
async def connected(command: list[str], log: TextIO = sys.stderr, **options: Any) -> AsyncIterator[Client]:
    server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    async with Client(stdio_client(server, log), read_timeout_seconds=30, **options) as client:
        yield client


def text(result: CallToolResult) -> str:
    (content, *_) = result.content
    assert isinstance(content, TextContent)
    return content.text


def picture(result: CallToolResult) -> tuple[Image.Image, str]:
    content = result.content[1]
    assert isinstance(content, ImageContent)
    return Image.open(BytesIO(base64.b64decode(content.data))), content.mime_type


async def test_a_client_lists_calls_and_gets_errors_despite_noise_on_stdout() -> None:
    async with connected(FAKE) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == TOOLS
        found = await client.call_tool("refer", {"image": "cat.jpg", "expression": "the cat"})
        result = VisionResult.model_validate(found.structured_content)
        assert result.boxes[0].box == [45.1, 60, 225.5, 300]
        assert "- the cat: [45.1, 60, 225.5, 300], confidence 83%" in text(found)
        refused = await client.call_tool("caption", {"image": "../README.md"})
        assert (refused.is_error, refused.structured_content) == (True, None)
        assert "there is no such image" in text(refused)
        wrong = await client.call_tool("identify", {"image": "cat.jpg", "region": [1, 2]})
        assert (wrong.is_error, text(wrong)[:23]) == (True, "Wrong arguments: region")
        with pytest.raises(MCPError, match="no tool 'paint': name one of caption, vqa"):
            await client.call_tool("paint", {})
        with pytest.raises(MCPError) as fault:
            await client.call_tool("vqa", {"image": "cat.jpg", "question": "fail"})
        assert "42" not in str(fault.value)
        assert text(await client.call_tool("caption", {"image": "cat.jpg"})) == "a cat on a rug"


async def test_calls_made_at_once_get_their_own_answers(toolkit: VisionToolkit) -> None:
    names = ["cat.jpg", "coffee.jpg", "astronaut.jpg", "rocket.jpg"]
    async with Client(create_server(toolkit)) as client:
        made = (client.call_tool("caption", {"image": name}) for name in names)
        answers = await asyncio.gather(*made)
    assert [answer.structured_content["image"]["reference"] for answer in answers] == names


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_cancelled_call_stops_the_model_and_leaves_the_server_usable(
    mode: str, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w+") as log:
        started = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001
            if message == "still looking":  # the model is at work
                started.set()

        async with connected(FAKE, mode=mode, log=log) as client:
            call = {"image": "cat.jpg", "question": "endless"}
            waiting = asyncio.create_task(client.call_tool("vqa", call, progress_callback=hear))
            await asyncio.wait_for(started.wait(), 30)
            waiting.cancel()
            await asyncio.wait([waiting])
            async with asyncio.timeout(30):
                while "stopped early" not in (tmp_path / "log").read_text():
                    await asyncio.sleep(0.05)
            assert text(await client.call_tool("caption", {"image": "cat.jpg"})) == "a cat on a rug"


async def test_concurrent_calls_are_all_answered_and_wrong_ones_are_errors() -> None:
    calls: list[tuple[dict[str, Any], str]] = [
        ({"image": "cat.jpg"}, "a cat on a rug"),
        ({"image": "cat.jpg", "detail": "high"}, "detail: Extra inputs"),
        ({"image": "cat.jpg", "region": "0,0,10,10"}, "a cat on a rug"),
        ({"image": ["cat.jpg"]}, "image: Input should be a valid string"),
        ({"image": "cat.jpg", "region": "0,0,0.5,1"}, "pixels are wanted"),
        ({}, "give `image`"),
    ]
    async with connected(FAKE) as client:
        answers = await asyncio.gather(*(client.call_tool("caption", call) for call, _ in calls))
    assert [hint for (_, hint), answer in zip(calls, answers, strict=True) if hint not in text(answer)] == []
    assert [bool(answer.is_error) for answer in answers] == [False, True, False, True, True, True]


async def test_a_client_of_the_older_handshake_is_served_too() -> None:
    async with connected(FAKE, mode="legacy") as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        answer = await client.call_tool("detect", {"image": "cat.jpg", "phrase": "eyes"})
        assert len(VisionResult.model_validate(answer.structured_content).boxes) == 2


def test_stdout_carries_the_protocol_and_nothing_else() -> None:
    arguments = {"name": "caption", "arguments": {"image": "cat.jpg"}}
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": arguments},
    ]
    with subprocess.Popen(FAKE, stdin=-1, stdout=-1, stderr=-1, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.writelines(json.dumps(message) + "\n" for message in messages)
        server.stdin.flush()
        lines = [server.stdout.readline() for _ in range(2)]
        server.stdin.close()
        assert server.stdout.read() == ""
        noise = server.stderr.read()
        assert server.wait(10) == 0
    assert [json.loads(line)["id"] for line in lines] == [1, 2]
    assert all(word in noise for word in ("printed", "written", "by a child"))


async def test_boxes_come_with_a_picture_that_shows_them(toolkit: VisionToolkit) -> None:
    async with Client(create_server(toolkit, draw)) as client:
        found = await client.call_tool("refer", {"image": "cat.jpg", "expression": "the cat"})
        caption = await client.call_tool("caption", {"image": "cat.jpg"})
    assert [content.type for content in found.content] == ["text", "image"]
    assert [content.type for content in caption.content] == ["text"]
    image, mime_type = picture(found)
    assert (image.format, image.size, mime_type) == ("JPEG", (451, 300), "image/jpeg")
    plain = Image.open(SAMPLES / "cat.jpg")

    def change(place: tuple[int, int]) -> int:
        before, after = (np.array(it)[place[1], place[0]].astype(int) for it in (plain, image))
        return int(np.abs(after - before).max())

    assert change((45, 200)) > 60  # the edge of the box
    assert change((300, 150)) < 30  # inside


async def test_a_large_picture_with_boxes_is_sent_smaller(toolkit: VisionToolkit, tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500)).save(tmp_path / "large.png")
    toolkit = VisionToolkit(model=toolkit.model, folders=(tmp_path,))
    async with Client(create_server(toolkit, draw=lambda image, _: image.copy())) as client:
        found = await client.call_tool("refer", {"image": "large.png", "expression": "it"})
    image, _ = picture(found)
    assert image.size == (DRAWN_SIDE, DRAWN_SIDE // 2)
    assert found.structured_content["boxes"][0]["box"] == [300, 300, 1500, 1500]


async def test_schemas_say_what_goes_in_and_what_comes_out(toolkit: VisionToolkit) -> None:
    async with Client(create_server(toolkit)) as client:
        tools = (await client.list_tools()).tools
    *looking, listing = tools
    assert listing.input_schema["properties"] == {}
    assert listing.output_schema == PictureList.model_json_schema(mode="serialization")
    for tool in looking:
        assert "runtime" not in tool.input_schema["properties"]
        assert tool.input_schema["additionalProperties"] is False
        assert tool.input_schema["required"][0] == "image"
        assert tool.input_schema["properties"]["image"]["type"] == "string"
        assert tool.output_schema == VisionResult.model_json_schema(mode="serialization")
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True


async def test_without_a_renderer_there_are_words_and_boxes_alone(toolkit: VisionToolkit) -> None:
    async with Client(create_server(toolkit)) as client:
        found = await client.call_tool("refer", {"image": "cat.jpg", "expression": "the cat"})
    assert [content.type for content in found.content] == ["text"]
    assert len(found.structured_content["boxes"]) == 1


async def test_the_available_images_are_listed(toolkit: VisionToolkit) -> None:
    async with Client(create_server(toolkit)) as client:
        listed = await client.call_tool("list_pictures", {})
    pictures = ["astronaut.jpg", "cat.jpg", "coffee.jpg", "rocket.jpg"]
    assert listed.structured_content == {"pictures": pictures, "more": False}
    assert text(listed) == "".join(f"- {name}\n" for name in pictures).strip()


async def test_a_picture_may_come_as_data_and_goes_back_with_its_boxes(toolkit: VisionToolkit) -> None:
    data = base64.b64encode((SAMPLES / "cat.jpg").read_bytes()).decode()
    async with Client(create_server(toolkit, draw)) as client:
        call = {"image": f"data:image/jpeg;base64,{data}", "expression": "the cat"}
        found = await client.call_tool("refer", call)
    assert (found.structured_content["image"]["reference"], picture(found)[0].size) == (None, (451, 300))


async def test_a_client_that_asks_is_notified_of_progress(toolkit: VisionToolkit, engine: FakeEngine) -> None:
    engine.partial_answers = ("a cat", "a cat <p>on a rug")
    reports: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001
        reports.append((progress, message))

    async with Client(create_server(toolkit)) as client:
        await client.call_tool("caption", {"image": "cat.jpg"}, progress_callback=hear)
    assert reports == [(1, "looking"), (2, "a cat"), (3, "a cat on a rug")]


@pytest.mark.parametrize("folder", ["/", "~", "~/..", "~/sub/.."])
def test_a_folder_that_holds_everything_is_refused(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me" / "sub").mkdir(parents=True)
    with pytest.raises(AssistantError, match="would give the client all your files: name a folder"):
        create_server(VisionToolkit(model="nano", folders=(Path(folder).expanduser(),)))
    create_server(VisionToolkit(model="nano", folders=(tmp_path / "me" / "sub",)))


# --- the command -----------------------------------------------------------------------------------------


def broken_model(folder: Path) -> str:
    """Return a model's folder that is found, and cannot be loaded."""
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}", encoding="utf-8")
    return str(folder / "model")


async def test_the_command_serves_its_folders_and_loads_no_model_before_it_is_needed(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "mine.png")
    model = broken_model(tmp_path)
    command = [*COMMAND, "--folder", str(SAMPLES), "--folder", str(tmp_path), "--model", model]
    async with connected(command) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        for name in ("cat.jpg", "mine.png"):
            answer = await client.call_tool("identify", {"image": name, "region": [0, 0, 900, 900]})
            assert "lies outside of the image" in text(answer)
        outside = await client.call_tool("caption", {"image": str(Path(__file__).parents[1] / "README.md")})
        assert "there is no such image" in text(outside)


async def test_the_command_opens_the_pictures_of_sessions_by_their_ids_with_the_db_option(
    tmp_path: Path,
) -> None:
    database = tmp_path / "sessions.db"
    with SessionStore.open(database) as store:
        kept = store.add_image(SAMPLES / "cat.jpg")
    call = {"image": kept.sha256, "region": [0, 0, 900, 900]}
    command = [*COMMAND, "--folder", str(tmp_path), "--model", broken_model(tmp_path)]
    async with connected([*command, "--db", str(database)]) as client:
        assert "lies outside of the image" in text(await client.call_tool("identify", call))
    async with connected(command) as client:
        assert "there is no such image" in text(await client.call_tool("identify", call))


@pytest.mark.parametrize("folder", ["no-such-folder", __file__, "", "~/no-such-folder"])
def test_the_command_refuses_what_is_no_folder(folder: str) -> None:
    done = CliRunner().invoke(app, ["mcp", "--folder", folder], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert f"--folder {folder!r}: there is no such folder" in done.output


@pytest.mark.parametrize("folder", ["/", "~", "to-the-root", "./to-the-root/../"])
def test_the_command_refuses_every_name_of_a_folder_that_holds_everything(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "to-the-root").symlink_to("/")
    done = CliRunner().invoke(app, ["mcp", "--folder", folder])
    assert "would give the client all your files" in str(done.exception)


def test_the_command_expands_the_home_folder_for_clients_that_start_it_without_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Pictures").mkdir()
    served: list[VisionToolkit] = []
    monkeypatch.setattr("assistant.tools.mcp_server.serve", lambda toolkit, _: served.append(toolkit))
    assert CliRunner().invoke(app, ["mcp", "--folder", "~/Pictures"]).exit_code == 0
    assert served[0].folders == (tmp_path / "Pictures",)


def test_the_command_refuses_to_serve_the_root_that_clients_start_it_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/")
    done = CliRunner().invoke(app, ["mcp"])
    assert "/ would give the client all your files: name a folder" in str(done.exception)


def test_another_version_of_the_protocols_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.ui.commands.serving.version", lambda _: "1.30.0")
    with pytest.raises(AssistantError, match=r"needs mcp 2, and 1\.30\.0 is installed: pip install"):
        serving.mcp()


def test_without_the_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['mcp'] = None; sys.argv = ['assistant', 'mcp']; " + COMMAND[2]
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: `assistant mcp` needs an extra: pip install 'visual-assistant[mcp]'\n"
