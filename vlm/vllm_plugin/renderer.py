"""Turn the messages of vLLM's chat API into the token ids that the local engine would use.

A chat template could not: it renders text, which vLLM tokenizes as a whole and in which the names of special
tokens act as such, while our prompts are tokenized part by part and a person's text literally.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vllm.config import VllmConfig
from vllm.exceptions import VLLMValidationError
from vllm.renderers.base import BaseRenderer
from vllm.renderers.chat_utils import parse_chat_messages, parse_chat_messages_async
from vllm.renderers.inputs.preprocess import parse_dec_only_prompt
from vllm.utils.async_utils import make_async

from ..architecture.processing import MiniGPTv2Processor
from ..tasks import Turn, build_prompt, escape_markers

Message = Mapping[str, Any]


class TurnRenderer(BaseRenderer):
    """Builds prompts with the folder's processor and prompt form."""

    def __init__(self, config: VllmConfig, tokenizer: Any) -> None:
        super().__init__(config, tokenizer)
        self._processor = MiniGPTv2Processor.load(Path(config.model_config.model))
        self._encoding = threading.Lock()  # tokenizers are not thread-safe
        self._encode_async = make_async(self._encode, executor=self._executor)

    def render_messages(self, messages: list[Any], params: Any) -> tuple[list[Any], Any]:
        """Return the conversation as vLLM parses it, and the prompt with its image."""
        parsed = parse_chat_messages(messages, self.model_config, **_parsing(params))
        return parsed[0], _prompt(self._encode(parsed[0]), *parsed[1:])

    async def render_messages_async(self, messages: list[Any], params: Any) -> tuple[list[Any], Any]:
        """Like `render_messages`, without blocking the event loop."""
        parsed = await parse_chat_messages_async(messages, self.model_config, **_parsing(params))
        return parsed[0], _prompt(await self._encode_async(parsed[0]), *parsed[1:])

    def validate_token_ids(self, token_ids: Sequence[int], *, parameter: str | None = None) -> None:
        """Check ids against the vocabulary; the placeholder of images lies outside it."""
        image = self._processor.image_token_id
        super().validate_token_ids([it for it in token_ids if it != image], parameter=parameter)

    def _encode(self, conversation: Sequence[Message]) -> list[int]:
        with self._encoding:
            return prompt_ids(conversation, self._processor)


def prompt_ids(conversation: Sequence[Message], processor: MiniGPTv2Processor) -> list[int]:
    """Return the token ids of parsed messages, with one placeholder for the image, which vLLM repeats.

    Raises:
        VLLMValidationError: the model was not trained for such a conversation.
    """
    turns, image = _turns(conversation)
    ids = processor.encode(build_prompt(turns, image=image, frame=processor.prompt_form.asking)).input_ids
    if image:
        start = ids.index(processor.image_token_id)
        del ids[start + 1 : start + processor.image_tokens]
    return ids


def _turns(conversation: Sequence[Message]) -> tuple[list[Turn], bool]:
    """Return the turns of a conversation, and whether it is about an image."""
    roles = [message["role"] for message in conversation]
    if not len(roles) % 2 or set(roles[::2]) != {"user"} or not set(roles[1::2]) <= {"assistant"}:
        raise _refusal("messages must alternate between user and assistant, and begin and end with the user")
    texts, images = zip(*(_content(message) for message in conversation), strict=True)
    if any(images[1:]) or images[0] > 1:
        raise _refusal("the model sees one image, in the first message")
    turns = [
        Turn(escape_markers(text), texts[2 * index + 1] if 2 * index + 1 < len(texts) else None)
        for index, text in enumerate(texts[::2])
    ]
    return turns, bool(images[0])


def _content(message: Message) -> tuple[str, int]:
    """Return the text of a message and the number of its images."""
    parts = message.get("content") or []
    if isinstance(parts, str):
        return parts, 0
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(texts), len(parts) - len(texts)


def _parsing(params: Any) -> dict[str, Any]:
    return {
        "content_format": "openai",
        "media_io_kwargs": params.media_io_kwargs,
        "mm_processor_kwargs": params.mm_processor_kwargs,
    }


def _prompt(ids: list[int], images: Any, image_ids: Any) -> Any:
    prompt: Any = parse_dec_only_prompt(ids)
    if images is not None:
        prompt["multi_modal_data"] = images
    if image_ids is not None:
        prompt["multi_modal_uuids"] = image_ids
    return prompt


def _refusal(reason: str) -> Exception:
    error: Exception = VLLMValidationError(reason, parameter="messages")
    return error
