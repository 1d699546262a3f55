"""A stock LangChain agent that looks at a photo with two of the tools.

    python examples/agent.py [--model NAME|FOLDER]

The chat model is scripted, so that no API key is needed: replace it with one that can call tools.
"""

import argparse
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolCall

from assistant.tools import VisionToolkit
from assistant.vlm.vision_language_model import VisionLanguageModel

SAMPLES = Path(__file__).parents[1] / "ui" / "samples"


class Script(FakeMessagesListChatModel):
    """Returns its responses in order, whatever the input."""

    def bind_tools(self, *_: Any, **__: Any) -> "Script":
        """Accept tools, as an agent's chat model must."""
        return self


SCRIPT = [
    AIMessage("", tool_calls=[ToolCall(name="caption", args={}, id="1")]),
    AIMessage("", tool_calls=[ToolCall(name="refer", args={"expression": "the cat"}, id="2")]),
    AIMessage("That is what the picture shows, and the box is where the cat is."),
]


def main(model: VisionLanguageModel | str) -> None:
    """Ask the agent and print the conversation."""
    tools = VisionToolkit(model=model, folders=(SAMPLES,)).get_tools()
    agent = create_agent(Script(responses=list(SCRIPT)), tools)
    question = HumanMessage("What does the picture show, and where is the cat?")
    state = agent.invoke({"messages": [question]}, {"configurable": {"current_image": "cat.jpg"}})
    for message in state["messages"]:
        print(f"{message.type:6}{message.text or [call['name'] for call in message.tool_calls]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="nano")
    main(parser.parse_args().model)
