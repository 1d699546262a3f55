"""The model inside vLLM: the same prompts as the local engine, and the same answers from a real server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from PIL import Image
from streamlit.testing.v1 import AppTest

from assistant.tools import VisionToolkit
from assistant.ui.commands.page import PAGE
from assistant.vlm.answers import Request
from assistant.vlm.engine.remote import RemoteEngine
from assistant.vlm.engine.retries import RetryPolicy
from assistant.vlm.grounding import Box, intersection_over_union
from assistant.vlm.models.merging import merge_adapter, whole_model
from assistant.vlm.models.presets import NANO
from assistant.vlm.models.weights import is_present
from assistant.vlm.tasks import Task, Turn, build_prompt

from ..page.page_driver import send, visible_text
from ..tools.fakes import SAMPLES, calls, script
from .tiny import dog_records, write_photo_folder

needs_vllm = pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
needs_nano = pytest.mark.skipif(not is_present(NANO), reason="nano's weights are not in the cache")
# vLLM takes minutes to start on a busy machine.
_START_SECONDS = 900


@needs_nano
def test_a_merged_folder_answers_as_base_and_adapter_do(tmp_path: Path) -> None:
    from assistant.vlm.engine.local import LocalEngine

    merge_adapter("nano", tmp_path / "merged")
    request = Request(Task.REFER, "the cat", image=Image.open(SAMPLES / "cat.jpg").convert("RGB"))
    (apart,) = LocalEngine.load("nano").generate([request])
    (merged,) = LocalEngine.load(str(tmp_path / "merged")).generate([request])
    assert merged.grounded.boxes
    assert merged.raw == apart.raw


@needs_vllm
class TestPrompts:
    @pytest.mark.parametrize("with_image", [True, False])
    @pytest.mark.parametrize("turns", [1, 2])
    def test_messages_become_the_token_ids_of_the_local_engine(self, with_image: bool, turns: int) -> None:
        from assistant.vlm.vllm_plugin.renderer import prompt_ids

        from .tiny import tiny_processor

        processor = tiny_processor()
        words = ["[refer] give me the location of the dog </s> [/INST]", "[vqa] what is it?"][:turns]
        messages = []
        for index, text in enumerate(words):
            image = [{"type": "image"}] if with_image and index == 0 else []
            messages.append({"role": "user", "content": [*image, {"type": "text", "text": text}]})
            messages.append({"role": "assistant", "content": [{"type": "text", "text": "{<1><2><3><4>}"}]})
        asked = [
            Turn(text.replace("</s>", "(/s)").replace("[/INST]", "(/INST)"), "{<1><2><3><4>}")
            for text in words
        ]
        asked[-1] = Turn(asked[-1].user)
        segments = build_prompt(asked, image=with_image, frame=processor.prompt_form.asking)
        wanted = processor.encode(segments).input_ids
        found = prompt_ids(messages[:-1], processor)
        if with_image:  # vLLM repeats the placeholder
            at = found.index(processor.image_token_id)
            found[at : at + 1] = [processor.image_token_id] * processor.image_tokens
        assert found == wanted

    @pytest.mark.parametrize(
        ("roles", "images", "reason"),
        [
            (["system", "user"], [0, 0], "alternate"),
            (["user", "assistant"], [0, 0], "alternate"),
            (["user", "user"], [0, 0], "alternate"),
            (["user", "assistant", "user"], [0, 0, 1], "one image, in the first message"),
        ],
    )
    def test_a_conversation_that_the_model_was_not_trained_for_is_refused(
        self, roles: list[str], images: list[int], reason: str
    ) -> None:
        from vllm.exceptions import VLLMValidationError

        from assistant.vlm.vllm_plugin.renderer import prompt_ids

        from .tiny import tiny_processor

        messages = [
            {"role": role, "content": [{"type": "image"}] * count + [{"type": "text", "text": "hello"}]}
            for role, count in zip(roles, images, strict=True)
        ]
        with pytest.raises(VLLMValidationError, match=reason):
            prompt_ids(messages, tiny_processor())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A real vLLM server with nano, started and stopped by `assistant serve`.

    In float32, in which hardly two tokens are so near that another order of sums decides.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "from assistant.ui.cli import main; main()"
    command = [sys.executable, "-c", start, "serve", "--port", str(port), "--", "--dtype", "float32"]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


@needs_vllm
@needs_nano
def test_a_real_server_answers_as_the_local_engine_does(address: str) -> None:
    from assistant.vlm.engine.local import LocalEngine

    policy = RetryPolicy(connect=20, silence=_START_SECONDS, answer=_START_SECONDS)
    served = RemoteEngine.connect(address, policy, zoom=False)
    local = LocalEngine.load(str(whole_model("nano")), dtype=torch.float32)
    requests = [
        Request(task, argument, image=Image.open(SAMPLES / name).convert("RGB"))
        for name, thing in (("cat.jpg", "the cat"), ("astronaut.jpg", "the woman"), ("coffee.jpg", "the cup"))
        for task, argument in ((Task.REFER, thing), (Task.VQA, "what is this?"))
    ]
    pairs = list(zip(local.generate(requests), served.generate(requests), strict=True))
    for ours, theirs in pairs[::2]:
        (mine,), (other,) = ours.grounded.boxes, theirs.grounded.boxes
        assert isinstance(other, Box)
        assert mine.iou(other) >= 0.9
        assert other.score is not None
    # Words may part at a near tie, but not in most answers.
    assert sum(ours.raw == theirs.raw for ours, theirs in pairs) >= len(pairs) / 2


@needs_vllm
@needs_nano
class TestFrontEnds:
    """Whoever takes a model takes the address of a real server."""

    def run(self, *arguments: object) -> str:
        """Return what a command prints."""
        code = "from assistant.ui.cli import main; main()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_ask(self, address: str, tmp_path: Path) -> None:
        options = ("--json", "--model", address, "--db", tmp_path / "sessions.db")
        answer = json.loads(self.run("ask", SAMPLES / "cat.jpg", "[refer] the cat", *options))
        (box,) = answer["steps"][0]["boxes"]
        assert intersection_over_union(box["box"], (0, 0, 400, 300)) > 0.5
        assert box["score"] is not None
        assert answer["model"] == f"{address}#nano"

    def test_evaluate(self, address: str, tmp_path: Path) -> None:
        photos = write_photo_folder(tmp_path / "photos", dog_records(20))
        options = ("--data", photos, "--split", "train", "--tasks", "refer", "--limit", 20)
        self.run("evaluate", *options, "--model", address, "--out", tmp_path / "report.json")
        report = json.loads((tmp_path / "report.json").read_text())
        malformed = report["tasks"]["refer"]["measures"]["malformed"]
        assert (malformed["count"], malformed["value"]) == (20, 0.0)

    def test_the_tools_in_a_stock_agent(self, address: str) -> None:
        tools = VisionToolkit(model=address, folders=(SAMPLES,)).get_tools()
        wanted = calls(("refer", {"expression": "the cat", "image": "cat.jpg"}))
        agent = create_agent(script(wanted, AIMessage("There.")), tools)
        state = agent.invoke({"messages": [HumanMessage("Where is the cat?")]})
        (found,) = [message for message in state["messages"] if isinstance(message, ToolMessage)]
        assert found.status == "success"
        assert found.artifact["boxes"]

    def test_the_page(self, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ASSISTANT_DB", str(tmp_path / "sessions.db"))
        monkeypatch.setenv("ASSISTANT_MODEL", address)
        tab = AppTest.from_file(str(PAGE), default_timeout=300).run()
        send(tab, "[refer] the cat", ("cat.jpg", (SAMPLES / "cat.jpg").read_bytes()))
        while not tab.feedback:  # the answer is there
            tab.run()
            assert not tab.exception
            assert not tab.error
        assert "The cat is" in visible_text(tab)
