"""The base classes of the tools."""

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
from .progress import ObservedEngine, Progress
from .results import VisionResult, make_result, to_text


class LazyModel:
    """A model that loads on first use; safe to share between threads.

    Copies share the model. Pickling works if it was given by name, folder or address.

    >>> LazyModel(model).get() is model
    True
    """

    def __init__(self, model: VisionLanguageModel | str) -> None:
        self._source = model if isinstance(model, str) else None
        self._model = model
        self._load_lock = threading.Lock()

    def get(self) -> VisionLanguageModel:
        """Return the model, loading it the first time.

        Raises:
            WeightsError: there is no such model, or its weights are not available; the next call tries again.
        """
        with self._load_lock:
            if isinstance(self._model, str):
                self._model = VisionLanguageModel.load(self._model)
            return self._model

    def __deepcopy__(self, _: dict[int, Any]) -> LazyModel:
        """Share the model, which may be gigabytes."""
        return self

    __copy__ = __deepcopy__

    def __reduce__(self) -> tuple[type[LazyModel], tuple[str]]:
        """Pickle the model's name, folder or address.

        Raises:
            TypeError: it was given as a loaded model.
        """
        if self._source is None:
            raise TypeError(
                "a loaded model cannot be pickled: give its name, as in VisionToolkit(model='nano')"
            )
        return type(self), (self._source,)


def lazy_model(model: Any) -> Any:
    """Wrap a loaded model, or a name, in a `LazyModel`."""
    return LazyModel(model) if isinstance(model, str | VisionLanguageModel) else model


@dataclass(frozen=True)
class Findings:
    """A tool's findings: text, and boxes by phrase."""

    text: str
    phrases: tuple[GroundedPhrase, ...] = ()


def argument_errors(error: Any) -> str:
    """Describe invalid arguments to the calling model."""
    problems = (
        f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors()
    )
    return f"Wrong arguments: {'; '.join(problems)}"


class PictureTool(BaseTool):
    """A tool with access to images; it returns errors that the calling model can fix as messages."""

    images: ImageAccess = Field(default_factory=ImageAccess, exclude=True, repr=False)
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: bool | str | Callable[[ToolException], str] | None = True
    handle_validation_error: bool | str | Callable[[Any], str] | None = argument_errors

    def __getstate__(self) -> dict[Any, Any]:
        """Drop LangChain's private state, which has unpicklable classes made at run time."""
        return super().__getstate__() | {"__pydantic_private__": self.model_construct().__pydantic_private__}


class VisionTool(PictureTool):
    """A tool that makes one request about an image, or about a region of it.

    `model` may be given as a name, a folder, a loaded model, or a `LazyModel` that several tools share.
    Errors that the calling model or its user can fix (no such image, a region outside of it, wrong arguments,
    missing weights) become error messages; anything else is a bug and is raised.

    >>> class Mirror(VisionTool):
    ...     task: ClassVar[Task] = Task.VQA
    ...     name: str = "mirror"
    ...     description: str = "Say whether an image is symmetric."
    ...     def look(self, model, image, region, text):
    ...         return Findings(model.vqa(image, "is it symmetric?", region).text)
    >>> Mirror(model=model).invoke({"image": "cat.jpg"})
    'brown'
    """

    task: ClassVar[Task]
    model: LazyModel = Field(exclude=True, repr=False)

    _lazy = field_validator("model", mode="before")(lazy_model)

    @abstractmethod
    def look(self, model: VisionLanguageModel, image: Image.Image, region: Box | None, text: str) -> Findings:
        """Ask the model; `text` is the tool's own argument, empty if omitted."""

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
        progress = Progress(self.name, config)
        try:
            box = None if region is None else pixel_box(region, picture.width, picture.height)
            progress.report("")
            model = VisionLanguageModel(ObservedEngine(self.model.get().engine, progress))
            answer = self.look(model, picture.image, box, next(iter(asked.values()), None) or "")
        except (AssistantError, ValueError) as error:  # ValueError: bad region or too long text
            raise ToolException(str(error)) from error
        text = answer.text.strip() or "The vision model gave no answer."
        result = make_result(self.task, picture, opened.reference, text, answer.phrases)
        return to_text(result), result


def messages_of(runtime: Any) -> list[Any]:
    """Return the messages in the calling agent's state, if any."""
    state = getattr(runtime, "state", None)
    messages = state.get("messages") if isinstance(state, dict) else getattr(state, "messages", state)
    return list(messages) if isinstance(messages, list | tuple) else []
