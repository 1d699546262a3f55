"""A tool-calling chat model in place of the local planner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, InvalidToolCall, ToolMessage
from langchain_core.outputs import ChatResult
from pydantic import Field
from typer.testing import CliRunner

from assistant.agent import Planner, Step
from assistant.agent.assistant import Assistant
from assistant.agent.plan import PlanContext
from assistant.agent.tool_calling_planner import ToolCallingPlanner
from assistant.storage import SessionStore
from assistant.tools.tasks import TOOLS
from assistant.ui.cli import app
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..plan_writer import PlanWriter
from ..tools.fakes import ScriptedModel, calls
from ..ui.fakes import ScriptedEngine
from .test_planner import DOG

LOCAL = Planner(PlanWriter())


class Recording(ScriptedModel):
    """Gives scripted answers and records its messages and tools."""

    received: list[list[BaseMessage]] = Field(default_factory=list)
    tools: list[dict[str, Any]] = Field(default_factory=list)

    def bind_tools(self, tools: Any, **_: Any) -> Recording:
        self.tools = list(tools)
        return self

    def _generate(self, messages: list[BaseMessage], *arguments: Any, **more: Any) -> ChatResult:
        self.received = [*self.received, messages]
        return super()._generate(messages, *arguments, **more)


class Unreachable(ScriptedModel):
    """Cannot be reached."""

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise ConnectionError("no route to host\nand more")


def recording(*answers: AIMessage) -> Recording:
    return Recording(responses=list(answers))


ASK = "find the dog and tell me what colour it is"
GOOD = calls(("refer", {"expression": "the dog"}), ("vqa", {"question": "what colour is it?", "found_by": 1}))
BROKEN = InvalidToolCall(name="refer", args="{", id="x", error="not JSON", type="invalid_tool_call")


def test_calls_become_the_steps_of_a_plan_in_order() -> None:
    plan = ToolCallingPlanner(recording(GOOD)).plan(ASK)
    assert plan.steps == (
        Step(Task.REFER, "the dog"),
        Step(Task.VQA, "what colour is it?", region_from=0),
    )
    assert plan.why == "[refer], [vqa], chosen by the chat model"


def test_each_tool_of_ours_may_be_called() -> None:
    region = [1, 2, 3, 4]
    model = recording(
        calls(
            ("caption", {}),
            ("detect", {"phrase": "dogs"}),
            ("ground", {"instruction": "describe the left", "region": region}),
            ("ground", {}),
            ("identify", {"region": region}),
        )
    )
    assert ToolCallingPlanner(model).plan("all").steps == (
        Step(Task.CAPTION),
        Step(Task.DETECTION, "dogs"),
        Step(Task.GROUNDING, "describe the left", Box(1, 2, 3, 4)),
        Step(Task.GROUNDING),
        Step(Task.IDENTIFY, "", Box(1, 2, 3, 4)),
    )
    names = [tool["function"]["name"] for tool in model.tools]
    assert names == [tool.model_fields["name"].default for tool in TOOLS]


def test_an_answer_without_a_call_is_free_conversation() -> None:
    plan = ToolCallingPlanner(recording(AIMessage("Hi!"))).plan("hello there")
    assert plan.steps == (Step(None, "hello there"),)


def test_the_chat_model_receives_earlier_turns_and_the_region() -> None:
    model = recording(AIMessage(""))
    ToolCallingPlanner(model).plan("what is this?", PlanContext((DOG,), Box(1, 2, 3, 4)))
    (messages,) = model.received
    assert [message.type for message in messages] == ["system", "human", "ai", "human"]
    assert messages[2].text == "(refer: the dog found [[10, 20, 40, 60]])\nHere is the dog."
    assert messages[3].text == "what is this?\n(The person marked the region [1, 2, 3, 4].)"


BAD = {
    "no such tool": (calls(("dance", {})), "there is no such tool"),
    "a missing argument": (calls(("refer", {})), "call 1, refer: expression: Field required"),
    "an unknown argument": (calls(("caption", {"image": "/etc/passwd"})), "image: Extra inputs"),
    "no box": (calls(("identify", {"region": [9, 2, 3, 4]})), "not a box"),
    "a later call": (calls(("vqa", {"question": "what?", "found_by": 1})), "no earlier call of refer"),
    "no JSON": (AIMessage("", invalid_tool_calls=[BROKEN]), "not JSON"),
}


@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD)
def test_a_wrong_call_is_sent_back_once(bad: AIMessage, message: str) -> None:
    model = recording(bad, GOOD)
    assert len(ToolCallingPlanner(model).plan(ASK).steps) == 2
    *_, answered, complaint = model.received[1]
    assert answered == bad
    assert isinstance(complaint, ToolMessage)
    assert message in complaint.text


def test_typed_boxes_are_sent_in_hundredths_and_those_outside_are_errors() -> None:
    model = recording(calls(("identify", {"region": [10, 20, 40, 60]})))
    planner, context = ToolCallingPlanner(model), PlanContext(size=(640, 480))
    assert planner.plan("what is [64.0, 96.0, 256.0, 288.0]?", context).steps[0].region == Box(10, 20, 40, 60)
    assert model.received[0][-1].text == "what is [10, 20, 40, 60]?"
    with pytest.raises(AssistantError, match="outside of the image of 640 x 480"):
        planner.plan("what is [64, 96, 900, 288]?", context)


def test_after_a_second_wrong_call_the_local_planner_plans_and_says_so() -> None:
    bad, message = BAD["no such tool"]
    plan = ToolCallingPlanner(recording(bad, bad, GOOD), LOCAL).plan(ASK)
    assert plan.steps == LOCAL.plan(ASK).steps
    assert "local planner: the chat model gave no plan" in plan.why
    assert message in plan.why


def test_an_unreachable_chat_model_does_not_cost_the_answer() -> None:
    plan = ToolCallingPlanner(Unreachable(responses=[]), LOCAL).plan(ASK)
    assert plan.steps == LOCAL.plan(ASK).steps
    assert "no route to host" in plan.why
    assert "\n" not in plan.why


def test_a_typed_identifier_does_not_need_the_chat_model() -> None:
    model = recording(GOOD)
    assert ToolCallingPlanner(model).plan("[caption] the dog").steps[0].task is Task.CAPTION
    assert model.received == []


def test_the_assistant_runs_what_the_chat_model_chose(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    with SessionStore.open(tmp_path / "sessions.db") as store:
        planner = ToolCallingPlanner(recording(AIMessage("")))
        turn = Assistant(VisionLanguageModel(engine), store, planner).ask(None, "where is the dog?")
    assert [step.task for step in turn.steps] == [None]
    assert turn.why == "chat, chosen by the chat model"


PLAN = [sys.executable, "-c", "from assistant.ui.cli import main; main()", "plan", ASK]


def test_the_command_shows_what_a_chat_model_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []

    def load(name: str) -> ToolCallingPlanner:
        chosen.append(name)
        return ToolCallingPlanner(recording(calls(("caption", {}))))

    monkeypatch.setattr(ToolCallingPlanner, "load", load)
    done = CliRunner().invoke(app, ["plan", ASK, "--planner", "fake:model"])
    assert (done.exit_code, done.stdout, chosen) == (0, "[caption]\n", ["fake:model"])
    case = '{"id": "a", "user": "find the dog"}'
    done = CliRunner().invoke(app, ["plan", "--jsonl", "--planner", "fake:model"], input=case)
    assert json.loads(done.stdout)["steps"] == [{"task": "caption", "argument": "", "region": None}]


def test_the_command_without_the_extra_says_what_to_install() -> None:
    code = f"import sys; sys.modules['langchain'] = None; {PLAN[2]}"
    command = [*PLAN[:2], code, *PLAN[3:], "--planner", "ollama:qwen3"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    message = "planning with 'ollama:qwen3' needs an extra: pip install 'visual-assistant[agents]'"
    assert done.stderr == f"Error: {message}\n"


def test_the_command_reports_an_unknown_chat_model() -> None:
    done = subprocess.run([*PLAN, "--planner", "nonsense"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: cannot plan with 'nonsense': ")


@pytest.mark.parametrize("name", ["nobody:nothing", "nonsense"])
def test_an_unknown_chat_model_is_one_clear_line(name: str) -> None:
    with pytest.raises(AssistantError, match=name) as caught:
        ToolCallingPlanner.load(name)
    assert "\n" not in str(caught.value)
