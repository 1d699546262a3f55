"""The form of a model's prompts, stored in `processor_config.json` of its folder.

A model reaches its measured quality only with the prompts it was trained on. `OURS` is the form of nano and
the default; `released/prompt_form.py` has that of the released MiniGPT-v2.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import WeightsError
from .grounding import Box
from .tasks import CHAT, DEFINITIONS, NEEDS_ARGUMENT, Frame, Task, instruction, verbatim

Length = Annotated[int, Field(gt=0, le=4096)]
TrainingLength = Annotated[int, Field(gt=0, le=2**16)]


class PromptForm(BaseModel):
    """The prompts of a model, and the maximum length of its answers.

    `asking` and `training` are the frames at inference and in training; `wordings` are the tasks' templates,
    with `{argument}` for the question, phrase or box; `training_wordings` are those that training samples
    from; `max_new_tokens` limits the answer. With `own_words`, text that a person typed after an identifier
    is used verbatim instead of in a template.

    In training, published captions and questions are cleaned with `cleans_captions`; the prompt is cut at
    `training_prompt_tokens`, not counting BOS, and the text after it, with later turns, at
    `training_answer_tokens`; without the two, only whole rows of a batch are cut.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    asking: Frame = Frame()
    training: Frame = Frame()
    wordings: dict[Task, str]
    training_wordings: dict[Task, tuple[str, ...]]
    max_new_tokens: dict[Task | Literal["chat"], Length]
    own_words: bool = False
    cleans_captions: bool = False
    training_prompt_tokens: TrainingLength | None = None
    training_answer_tokens: TrainingLength | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_newer_tasks(cls, values: Any) -> Any:
        """Take the defaults of tasks that the form does not know: they were added after it was saved."""
        tables = ("wordings", "training_wordings", "max_new_tokens")
        if not isinstance(values, dict) or not all(isinstance(values.get(name), dict) for name in tables):
            return values
        unknown = {task: it for task, it in DEFINITIONS.items() if all(task not in values[n] for n in tables)}
        return values | {
            "wordings": values["wordings"] | {task: it.wordings[0] for task, it in unknown.items()},
            "training_wordings": values["training_wordings"]
            | {task: it.wordings for task, it in unknown.items()},
            "max_new_tokens": values["max_new_tokens"]
            | {task: it.max_new_tokens for task, it in unknown.items()},
        }

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for name, given in (("wordings", self.wordings), ("training_wordings", self.training_wordings)):
            if missing := [task for task in Task if not given.get(task)]:
                raise ValueError(f"{name} has nothing for {', '.join(missing)}")
        if missing := [task for task in (*Task, CHAT) if task not in self.max_new_tokens]:
            raise ValueError(f"max_new_tokens has nothing for {', '.join(missing)}")
        for task in Task:
            for wording in (self.wordings[task], *self.training_wordings[task]):
                _check_wording(task, wording)
        if (self.training_prompt_tokens is None) != (self.training_answer_tokens is None):
            raise ValueError("give both of training_prompt_tokens and training_answer_tokens, or neither")
        if self.training.begins != 1 or not self.training.apart or not self.training.ends:
            raise ValueError(
                "training: a prompt begins with one BOS, its answers stand apart and end with EOS"
            )
        return self

    def words(self, task: Task | None, argument: str = "", region: Box | None = None, typed: str = "") -> str:
        """Return the text of a request, identifier included.

        `typed` is the text that a person wrote after an identifier, used with `own_words`.

        >>> OURS.words(Task.REFER, "the dog")
        '[refer] give me the location of the dog'

        Raises:
            ValueError: a required argument or region is missing.
        """
        if typed and self.own_words:
            return verbatim(task, typed, region)
        return instruction(task, argument, region, self.wordings[task] if task else None)

    def longest(self, task: Task | None) -> int:
        """Return the maximum number of tokens of an answer."""
        return self.max_new_tokens[task or CHAT]


def _check_wording(task: Task, wording: str) -> None:
    parts = [part[1:] for part in Formatter().parse(wording) if part[1] is not None]
    if any(width or conversion for _, width, conversion in parts):  # a width could ask for gigabytes
        raise ValueError(f"the wording {wording!r} of [{task}] must hold {{argument}} alone in its braces")
    fields = [name for name, _, _ in parts]
    wanted = task in NEEDS_ARGUMENT or task is Task.IDENTIFY
    if fields not in ([["argument"]] if wanted else [[], ["argument"]]):
        held = "hold {argument} once" if wanted else "hold no other field than {argument}"
        raise ValueError(f"the wording {wording!r} of [{task}] must {held}")


OURS = PromptForm(
    name="assistant",
    wordings={},
    training_wordings={},
    max_new_tokens={CHAT: 96},
)


def read_prompt_form(values: Mapping[str, Any] | PromptForm | None) -> PromptForm:
    """Return the prompt form of a folder's values, or ours if there are none.

    Raises:
        WeightsError: a value is missing, unknown or out of range; the message names it.
    """
    if values is None:
        return OURS
    try:
        return PromptForm.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("prompt_form", *first["loc"])))
        reason = first["msg"].removeprefix("Value error, ")
        raise WeightsError(f"processor_config.json: {place}: {reason}; copy the model again") from error
