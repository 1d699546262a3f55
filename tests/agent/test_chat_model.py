"""The planner drives LangChain's stock agent with our six tools."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langchain_tests.unit_tests import ChatModelUnitTests
from langgraph.checkpoint.memory import InMemorySaver

from assistant.agent.assistant import CHAT_TURNS
from assistant.agent.chat_model import PlannerChatModel
from assistant.agent.plan import Plan, PlanContext, Step
from assistant.agent.planner import Planner
from assistant.agent.replies import REPLIES
from assistant.tools import VisionToolkit
from assistant.tools.vision_tool import lazy_model
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box
from assistant.vlm.regions import crop
from assistant.vlm.tasks import Task, Turn
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..plan_writer import PlanWriter
from ..tools.fakes import SAMPLES
from ..ui.fakes import ScriptedEngine

CAT = {"configurable": {"current_image": "cat.jpg", "thread_id": "1"}}


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def agent(engine: ScriptedEngine) -> Any:
    model: Any = VisionLanguageModel(engine)
    tools = VisionToolkit(model=model, folders=(SAMPLES,)).get_tools()
    return create_agent(PlannerChatModel(model=model), tools, checkpointer=InMemorySaver())


def talking(engine: ScriptedEngine) -> Any:
    """Return an agent whose model replies freely to messages that fit no task."""
    model: Any = VisionLanguageModel(engine)
    planner = PlannerChatModel(model=model, planner=Planner(PlanWriter(), talks=True))
    tools = VisionToolkit(model=model, folders=(SAMPLES,)).get_tools()
    return create_agent(planner, tools, checkpointer=InMemorySaver())


def ask(agent: Any, message: str, config: dict[str, Any] | None = None) -> tuple[str, list[ToolMessage]]:
    """Return the answer and the results of its tool calls."""
    messages = agent.invoke({"messages": [HumanMessage(message)]}, config or CAT)["messages"]
    last = max(index for index, item in enumerate(messages) if isinstance(item, HumanMessage))
    return messages[-1].text, [item for item in messages[last:] if isinstance(item, ToolMessage)]


def test_each_task_goes_to_its_tool_and_the_answer_is_in_words(agent: Any) -> None:
    answer, results = ask(agent, "describe the picture, find the dog and count the cats")
    assert [result.name for result in results] == ["caption", "refer", "vqa"]
    assert answer == "A dog runs through the snow. The dog is on the left. How many cats are there? Brown."


def test_a_question_about_the_last_detection_uses_its_box(agent: Any, engine: ScriptedEngine) -> None:
    answer, results = ask(agent, "find the dog and tell me what colour it is")
    assert [result.name for result in results] == ["refer", "vqa"]
    assert answer == "The dog is on the left. What colour is the dog? Brown."
    image, whole = engine.requests[1].image, engine.requests[0].image
    assert image is not None
    assert whole is not None
    assert image.size == crop(whole, Box(12, 30, 35, 92)).size


def test_a_later_message_refers_to_a_box_of_the_tools(agent: Any, engine: ScriptedEngine) -> None:
    ask(agent, "where is the dog?")
    _, results = ask(agent, "what is it?")
    assert [result.name for result in results] == ["identify"]
    assert engine.requests[-1].region == Box(12, 30, 35, 92)
    ask(agent, "and the cat?")
    assert (engine.requests[-1].task, engine.requests[-1].argument) == (Task.REFER, "the cat")


def test_greetings_and_unsupported_requests_get_fixed_replies(agent: Any, engine: ScriptedEngine) -> None:
    assert ask(agent, "hello")[0] == REPLIES["hello"]
    assert ask(agent, "write a poem")[0] == REPLIES["cannot"]
    assert engine.requests == []


def test_a_typed_region_is_given_in_pixels_once_the_pictures_size_is_known(
    agent: Any, engine: ScriptedEngine
) -> None:
    answer, results = ask(agent, "what is in [10, 20, 50, 60]?")
    assert [result.name for result in results] == ["caption", "identify"]
    assert engine.requests[-1].region == Box(10, 20, 50, 60)
    assert answer == "This is a brown dog."


def test_a_region_typed_in_pixels_is_read_once_the_pictures_size_is_known(
    agent: Any, engine: ScriptedEngine
) -> None:
    _, results = ask(agent, "what is in [45.1, 60.0, 225.5, 180.0]?")
    assert [result.name for result in results] == ["caption", "identify"]
    assert engine.requests[-1].region == Box(10, 20, 50, 60)


def test_a_typed_region_outside_of_the_image_is_an_error(agent: Any, engine: ScriptedEngine) -> None:
    answer, _ = ask(agent, "what is in [10, 20, 900, 180]?")
    assert answer.startswith("I could not plan this: [10, 20, 900, 180] lies outside of the image of 451 x")
    assert [request.task for request in engine.requests] == [Task.CAPTION]


def test_an_attached_image_is_used_with_its_own_size(agent: Any, engine: ScriptedEngine) -> None:
    for name in ("cat.jpg", "coffee.jpg"):
        data = base64.b64encode((SAMPLES / name).read_bytes()).decode()
        parts: list[Any] = [
            {"type": "text", "text": "what is in [10, 20, 50, 60]?"},
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}},
        ]
        agent.invoke({"messages": [HumanMessage(parts)]}, {"configurable": {"thread_id": "1"}})
        assert engine.requests[-1].region == Box(10, 20, 50, 60)
    assert [request.image and request.image.size for request in engine.requests] == [
        (451, 300), (451, 300), (600, 400), (600, 400),
    ]  # fmt: skip


@pytest.mark.parametrize("artifact", [None, "text", {"boxes": 3}, {"structured_content": {}}, object(), [1]])
@pytest.mark.parametrize("message", ["where is the dog?", "what is in [10, 20, 50, 60]?"])
def test_foreign_tools_with_the_same_names_do_not_break_it(
    engine: ScriptedEngine, artifact: object, message: str
) -> None:
    def foreign(name: str) -> StructuredTool:
        return StructuredTool.from_function(
            lambda **_: (f"{name} says so", artifact),
            name=name,
            description="Another's tool.",
            args_schema={"type": "object", "properties": {}},
            response_format="content_and_artifact",
        )

    tools = [foreign(name) for name in ("caption", "vqa", "refer", "detect", "ground", "identify")]
    other = create_agent(PlannerChatModel(model=lazy_model(VisionLanguageModel(engine))), tools)
    state = other.invoke({"messages": [HumanMessage(message)]})
    again = other.invoke({"messages": [*state["messages"], HumanMessage("where is the cat?")]})
    assert again["messages"][-1].text == "refer says so"
    failure = "I could not do [identify]: the tools do not report the image's size."
    assert state["messages"][-1].text == (failure if "[" in message else "refer says so")


def test_results_from_mcp_are_read(engine: ScriptedEngine) -> None:
    (tool,) = (
        tool for tool in VisionToolkit(model=VisionLanguageModel(engine)).get_tools() if tool.name == "refer"
    )
    found = tool.invoke(
        {"type": "tool_call", "id": "1", "name": "refer", "args": {"expression": "the dog"}},
        {"configurable": {"current_image": SAMPLES / "cat.jpg"}},
    ).artifact.model_dump(mode="json")
    call = {"name": "refer", "args": {"expression": "the dog"}, "id": "step-1", "type": "tool_call"}
    model = PlannerChatModel(model=lazy_model(VisionLanguageModel(engine))).bind_tools([tool])
    plan = model.invoke([HumanMessage("where is the dog?")]).response_metadata
    reply = AIMessage("", tool_calls=[call], response_metadata=plan)
    result = ToolMessage("Found.", tool_call_id="step-1", artifact={"structured_content": found})
    assert model.invoke([HumanMessage("where is the dog?"), reply, result]).text == "The dog is on the left."


def test_free_conversation_gives_the_model_the_earlier_turns(engine: ScriptedEngine) -> None:
    agent = talking(engine)
    assert ask(agent, "sing")[0] == "Hello."
    assert ask(agent, "tell me a joke") == ("Hello.", [])
    assert [turn.answer for turn in engine.requests[-1].history] == ["Hello."]


def test_free_conversation_reads_the_last_turns_alone(engine: ScriptedEngine) -> None:
    agent = talking(engine)
    for number in range(CHAT_TURNS + 2):
        ask(agent, f"sing {number}")
    expected = tuple(Turn(f"sing {number}", "Hello.") for number in range(1, CHAT_TURNS + 1))
    assert engine.requests[-1].history == expected


@pytest.mark.parametrize("error", [AssistantError("no room"), ValueError("no room")])
def test_free_conversation_that_fails_says_why(engine: ScriptedEngine, error: Exception) -> None:
    engine.answers[None] = error
    answer, _ = ask(talking(engine), "tell me a joke")
    assert answer == "I could not do [chat]: no room."


class FicklePlanner(Planner):
    """Never makes the same plan twice."""

    def __init__(self) -> None:
        self.plans = iter([(Task.REFER, Task.CAPTION), (Task.CAPTION, Task.REFER), (Task.CAPTION,)])

    def plan(self, message: str, context: PlanContext = PlanContext()) -> Plan:  # noqa: ARG002, B008
        return Plan(tuple(Step(task, "the dog") for task in next(self.plans)), "as it liked")


def test_a_message_is_planned_once(engine: ScriptedEngine) -> None:
    model: Any = VisionLanguageModel(engine)
    tools = VisionToolkit(model=model, folders=(SAMPLES,)).get_tools()
    planner = PlannerChatModel(model=model, planner=FicklePlanner())
    answer, results = ask(create_agent(planner, tools, checkpointer=InMemorySaver()), "go")
    assert [result.name for result in results] == ["refer", "caption"]
    assert answer == "The dog is on the left. A dog runs through the snow."


@pytest.mark.parametrize("plan", [None, "refer", {"steps": [{"task": "dance"}], "why": "for joy"}])
def test_metadata_without_a_valid_plan_is_ignored(engine: ScriptedEngine, plan: object) -> None:
    model = PlannerChatModel(model=lazy_model(VisionLanguageModel(engine))).bind_tools([])
    messages = [HumanMessage("hello"), AIMessage("", response_metadata={"plan": plan})]
    assert model.invoke(messages).text == REPLIES["hello"]


@pytest.mark.parametrize("message", ["where is the dog?", "what is in [10, 20, 50, 60]?"])
def test_a_failing_tool_says_why_and_is_not_called_again(agent: Any, message: str) -> None:
    answer, results = ask(agent, message, {"configurable": {"current_image": "no.jpg", "thread_id": "1"}})
    assert [result.status for result in results] == ["error"]
    assert answer.startswith("I could not do [")
    assert "no such image" in answer


def test_identify_without_a_region_and_a_missing_tool_are_errors(engine: ScriptedEngine) -> None:
    model: Any = VisionLanguageModel(engine)
    tools = [tool for tool in VisionToolkit(model=model).get_tools() if tool.name != "refer"]
    alone = create_agent(PlannerChatModel(model=model), tools)
    answer = alone.invoke({"messages": [HumanMessage("[identify]. find the dog")]})["messages"][-1].text
    assert "no region is marked" in answer
    answer = alone.invoke({"messages": [HumanMessage("find the dog")]})["messages"][-1].text
    assert answer == "I could not do [refer]: there is no tool 'refer': give the agent all six."
    assert engine.requests == []


class TestStandard(ChatModelUnitTests):
    """LangChain's own suite for chat models."""

    @property
    def chat_model_class(self) -> type[PlannerChatModel]:
        return PlannerChatModel


def test_every_message_says_why() -> None:
    model = PlannerChatModel(model=lazy_model(VisionLanguageModel(ScriptedEngine()))).bind_tools([])
    reply = model.invoke([SystemMessage("Be brief."), HumanMessage("hello")])
    assert isinstance(reply, AIMessage)
    assert reply.text == REPLIES["hello"]
    assert reply.response_metadata["why"] == "chat, based on your message (probability 0.99)"
