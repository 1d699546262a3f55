"""The planner as a LangChain chat model that drives a stock agent with the six tools.

    tools = VisionToolkit(model=model).get_tools()
    agent = create_agent(PlannerChatModel(model=model), tools)
    question = {"messages": [HumanMessage("where is the dog?")]}
    agent.invoke(question, {"configurable": {"current_image": photo}})

It calls one tool at a time, since a step may need an earlier step's box, and answers after the last one.
A message is planned once: the metadata of each call and of the answer carries the plan.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from ..storage import StoredStep
from ..tools import LazyModel, VisionResult
from ..tools.attachments import attached_images
from ..tools.vision_tool import lazy_model
from ..vlm.errors import AssistantError
from ..vlm.grounding import GroundedText
from ..vlm.models.presets import DEFAULT_MODEL
from ..vlm.tasks import Task, Turn, escape_markers, instruction
from ..vlm.typed_regions import wants_size
from .answer import compose
from .assistant import CHAT_TURNS
from .plan import MessagePlanner, PastStep, PastTurn, Plan, PlanContext, Step
from .planner import Planner
from .replies import REPLIES
from .tool_calls import TASKS, TOOLS
from .turn import NO_REGION, STEP_LIMIT, done, failed, finish, in_place

logger = logging.getLogger(__name__)

# Prefixes of call ids: a step of the plan, or a call made only to learn the image's size.
_STEP, _LOOK = "step", "look"
# The key of the plan in a message's metadata.
_PLAN = "plan"
_PLAN_ADAPTER = TypeAdapter(Plan)


@dataclass
class _Exchange:
    """A person's message, its plan (if made), its tool calls with their results, and the answer.

    `pictured` marks a message with an attached image: earlier results are about a different image.
    """

    user: str
    pictured: bool = False
    plan: Plan | None = None
    results: list[tuple[ToolCall, ToolMessage]] = field(default_factory=list)
    answer: str = ""

    def made(self, kind: str) -> list[ToolMessage]:
        """Return the results of calls whose id starts with `kind`."""
        return [result for call, result in self.results if str(call["id"]).startswith(kind)]


class PlannerChatModel(BaseChatModel):
    """Calls the tools that the planner chooses, and answers in sentences that agree with their results.

    `model`, loaded or by name, replies in free conversation; the tools have their own. The image is the run's
    current image, or else the one attached to the person's latest message that has any.
    """

    model: LazyModel = Field(default_factory=lambda: LazyModel(DEFAULT_MODEL), exclude=True, repr=False)
    planner: MessagePlanner | None = Field(default=None, exclude=True, repr=False)

    _lazy = field_validator("model", mode="before")(lazy_model)

    @property
    def _llm_type(self) -> str:
        return "assistant-planner"

    @property
    def model_name(self) -> str:
        """The name in LangChain's traces."""
        return self._llm_type

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: str | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind the callable tools; `tool_choice` is ignored."""
        names = [convert_to_openai_tool(tool)["function"]["name"] for tool in tools]
        return self.bind(tool_names=names, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        *,
        tool_names: Sequence[str] = (),
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        *earlier, now = _exchanges(messages)
        look, _ = TOOLS[Task.CAPTION]
        if now.plan is None and wants_size(now.user) and look in tool_names and not now.made(_LOOK):
            return _chat_result(AIMessage("", tool_calls=[_tool_call(look, {}, _LOOK, [*earlier, now])]))
        context = PlanContext(tuple(map(_past_turn, earlier)), size=_picture_size([*earlier, now]))
        try:
            plan = now.plan or self._plan(now.user, context)
        except AssistantError as error:
            return _chat_result(AIMessage(f"I could not plan this: {error}."))
        reply = self._next(plan, now, earlier, tool_names)
        dumped = _PLAN_ADAPTER.dump_python(plan, mode="json")
        reply.response_metadata = {"model_name": self.model_name, "why": plan.why, _PLAN: dumped}
        return _chat_result(reply)

    def _plan(self, message: str, context: PlanContext) -> Plan:
        if self.planner is None:
            self.planner = Planner.for_model(self.model.get())
        return self.planner.plan(message, context)

    def _next(
        self, plan: Plan, now: _Exchange, earlier: Sequence[_Exchange], tool_names: Sequence[str]
    ) -> AIMessage:
        """Return the plan's next tool call, or the answer."""
        called = iter(now.made(_STEP))
        exchanges = [*earlier, now]
        results: list[StoredStep] = []
        for step in (in_place(step, tuple(results)) for step in plan.steps[:STEP_LIMIT]):
            if (problem := _problem(step, tool_names, exchanges)) is not None:
                results.append(failed(step, problem))
            elif step.task is None:
                results.append(done(step, REPLIES.get(step.reply, "")))
            elif (result := next(called, None)) is not None:
                results.append(_step_result(step, result))
            else:
                return AIMessage("", tool_calls=[_call(step, exchanges)])
        answered = [it if it.task or it.text else self._talk(it.argument, earlier) for it in results]
        return AIMessage(finish(plan, tuple(answered), 0.0).answer)

    def _talk(self, message: str, earlier: Sequence[_Exchange]) -> StoredStep:
        step = Step(None, message)
        history = [Turn(instruction(None, it.user), escape_markers(it.answer)) for it in earlier if it.answer]
        try:
            turns = [*history[-CHAT_TURNS:], Turn(instruction(None, message))]
            reply = self.model.get().chat(None, turns)
        except (AssistantError, ValueError) as error:
            logger.info("step %s failed", step.name, exc_info=True)
            return failed(step, str(error))
        return done(step, compose(step, GroundedText(reply.text)))


def _exchanges(messages: Sequence[BaseMessage]) -> list[_Exchange]:
    """Split messages into exchanges, each started by the person; drop any before the first."""
    found: list[_Exchange] = []
    calls: dict[str | None, ToolCall] = {}
    for message in messages:
        if isinstance(message, HumanMessage):
            found.append(_Exchange(message.text, bool(attached_images([message]))))
        elif isinstance(message, AIMessage) and found:
            calls.update((call["id"], call) for call in message.tool_calls)
            found[-1].answer = message.text
            found[-1].plan = found[-1].plan or _plan_in(message)
        elif isinstance(message, ToolMessage) and message.tool_call_id in calls and found:
            found[-1].results.append((calls[message.tool_call_id], message))
    return found or [_Exchange("")]


def _chat_result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])


def _plan_in(message: AIMessage) -> Plan | None:
    """Return the plan in a message's metadata; None if there is none, as in another model's messages."""
    try:
        return _PLAN_ADAPTER.validate_python(message.response_metadata.get(_PLAN))
    except ValidationError:
        return None


def _past_turn(exchange: _Exchange) -> PastTurn:
    steps = (
        _past_step(call, result)
        for call, message in exchange.results
        if call["name"] in TASKS and str(call["id"]).startswith(_STEP)
        if (result := VisionResult.of(message.artifact)) is not None
    )
    return PastTurn(exchange.user, tuple(steps), exchange.answer)


def _past_step(call: ToolCall, result: VisionResult) -> PastStep:
    task, argument = TASKS[call["name"]]
    boxes = GroundedText(result.text, result.phrases).boxes
    region = boxes[0] if task is Task.IDENTIFY and boxes else None
    return PastStep(task, str(call["args"].get(argument, "")) if argument else "", boxes, region)


def _problem(step: Step, tool_names: Sequence[str], exchanges: Sequence[_Exchange]) -> str | None:
    """Return why the tools cannot run a step, or None."""
    if step.task is Task.IDENTIFY and step.region is None:
        return NO_REGION
    if step.task is not None and TOOLS[step.task][0] not in tool_names:
        return f"there is no tool {TOOLS[step.task][0]!r}: give the agent all six"
    looks = exchanges[-1].made(_LOOK)
    if step.region is not None and looks and _picture_size(exchanges) is None:
        failed_look = looks[-1].status == "error"
        return looks[-1].text.rstrip(".") if failed_look else "the tools do not report the image's size"
    return None


def _call(step: Step, exchanges: Sequence[_Exchange]) -> ToolCall:
    assert step.task is not None
    name, argument = TOOLS[step.task]
    arguments: dict[str, Any] = {argument: step.argument} if argument and step.argument else {}
    if step.region is not None:
        size = _picture_size(exchanges)
        if size is None:
            return _tool_call(TOOLS[Task.CAPTION][0], {}, _LOOK, exchanges)
        arguments["region"] = list(step.region.to_pixels(*size))
    return _tool_call(name, arguments, _STEP, exchanges)


def _tool_call(name: str, arguments: dict[str, Any], kind: str, exchanges: Sequence[_Exchange]) -> ToolCall:
    made = sum(len(exchange.results) for exchange in exchanges)
    return ToolCall(name=name, args=arguments, id=f"{kind}-{made + 1}", type="tool_call")


def _picture_size(exchanges: Sequence[_Exchange]) -> tuple[int, int] | None:
    """Return the current image's width and height in pixels, or None before the first tool result."""
    for exchange in reversed(exchanges):
        for _, message in reversed(exchange.results):
            if (result := VisionResult.of(message.artifact)) is not None:
                return result.image.width, result.image.height
        if exchange.pictured:
            return None
    return None


def _step_result(step: Step, message: ToolMessage) -> StoredStep:
    if message.status == "error":
        return failed(step, message.text.rstrip("."))
    result = VisionResult.of(message.artifact)
    if result is None:  # a different tool of the same name: use its text
        return done(step, message.text)
    grounded = GroundedText(result.text, result.phrases)
    return done(step, compose(step, grounded), phrases=result.phrases)
