"""What the tools have in common."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from PIL import Image
from pydantic import Field, field_validator

from ..vlm.errors import AssistantError
from ..vlm.grounding import Box, GroundedPhrase
from ..vlm.regions import pixel_box
from ..vlm.tasks import Task
from ..vlm.vision_language_model import VisionLanguageModel
from .images import ImageAccess
from .listening import Followed, Progress
from .results import VisionResult, in_words, result_of


class LazyModel:
    """A model that is loaded when it is first asked for; safe to share between threads.

    Copies share the model. It can be pickled where it was given by its name, folder or address.
    """

    def __init__(self, model: VisionLanguageModel | str) -> None:
        self._named = model if isinstance(model, str) else None
        self._model = model
        self._loading = threading.Lock()

    def get(self) -> VisionLanguageModel:
        """Return the model, loading it by its name the first time.

        Raises:
            WeightsError: there is no such model, or its weights cannot be had; the next call tries again.
        """
        with self._loading:
            if isinstance(self._model, str):
                self._model = VisionLanguageModel.load(self._model)
            return self._model

    def __deepcopy__(self, _: dict[int, Any]) -> LazyModel:
        """Share the model: it may be gigabytes, and answers copies as well."""
        return self

    __copy__ = __deepcopy__

    def __reduce__(self) -> tuple[type[LazyModel], tuple[str]]:
        """Pickle the model's name.

        Raises:
            TypeError: it was given as a loaded model.
        """
        if self._named is None:
            raise TypeError(
                "a loaded model cannot be pickled: give its name, as in VisionToolkit(model='nano')"
            )
        return type(self), (self._named,)


def lazy_model(model: Any) -> Any:
    """Take a loaded model, or one's name, for a field that holds a `LazyModel`."""
    return LazyModel(model) if isinstance(model, str | VisionLanguageModel) else model


@dataclass(frozen=True)
class Found:
    """What a look at a picture came to: words, and boxes under their phrases."""

    text: str
    phrases: tuple[GroundedPhrase, ...] = ()


def arguments_in_words(error: Any) -> str:
    """Say what is wrong with a call's arguments, a pydantic error, for the model that made it."""
    problems = (f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}" for item in error.errors())
    return f"Wrong arguments: {'; '.join(problems)}"


class PictureTool(BaseTool):
    """A tool that knows the pictures that there are; what a model can mend comes back as an error message."""

    images: ImageAccess = Field(default_factory=ImageAccess, exclude=True, repr=False)
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: bool | str | Callable[[ToolException], str] | None = True
    handle_validation_error: bool | str | Callable[[Any], str] | None = arguments_in_words

    def __getstate__(self) -> dict[Any, Any]:
        """Leave out what LangChain keeps for itself: classes made at run time, which cannot be pickled."""
        return super().__getstate__() | {"__pydantic_private__": self.model_construct().__pydantic_private__}


class VisionTool(PictureTool):
    """A tool that asks the model one thing about one picture, or about a region of it.

    `model` may be given as a name, a folder or a loaded model, and is shared by tools that are given the
    same `LazyModel`. What a model can mend (no such picture, a region outside of it, wrong arguments, weights
    that are missing) comes back as an error message; anything else is a fault and is raised.
    """

    task: ClassVar[Task]
    model: LazyModel = Field(exclude=True, repr=False)

    _lazy = field_validator("model", mode="before")(lazy_model)

    @abstractmethod
    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Found:
        """Ask the model; `text` is the argument of the tool's own, empty where it was left out."""

    def _run(
        self,
        image: str | None = None,
        region: list[float] | None = None,
        runtime: Any = None,
        *,
        config: RunnableConfig,
        **asked: str | None,
    ) -> tuple[str, VisionResult]:
        opened = self.images.open(image, config, messages_of(runtime))
        picture = opened.picture
        progress = Progress(self.name)
        try:
            box = None if region is None else pixel_box(region, picture.width, picture.height)
            progress.tell("")
            model = VisionLanguageModel(Followed(self.model.get().engine, progress))
            found = self.look(model, picture.image, box, next(iter(asked.values()), None) or "")
        except (AssistantError, ValueError) as error:  # ValueError: a region, a text that is too long
            raise ToolException(str(error)) from error
        text = found.text.strip() or "The vision model gave no answer."
        result = result_of(self.task, picture, opened.reference, text, found.phrases)
        return in_words(result), result


def messages_of(runtime: Any) -> list[Any]:
    """Return the messages in the state of the agent that calls, if one does."""
    state = getattr(runtime, "state", None)
    messages = state.get("messages") if isinstance(state, dict) else getattr(state, "messages", state)
    return list(messages) if isinstance(messages, list | tuple) else []


__all__ = ["Found", "LazyModel", "PictureTool", "VisionTool", "lazy_model", "messages_of"]
