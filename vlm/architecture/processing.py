"""Turn images and conversations into tensors: preprocessing, tokenization, padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoProcessor,
    BatchFeature,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)
from transformers.image_utils import PILImageResampling
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from ..errors import WeightsError, one_line
from ..folders.hub import fetched
from ..folders.reading import ModelFolder, read_model_folder, read_settings
from ..folders.settings import TokenizerFile
from ..pictures import Source, as_seen
from ..prompt_form import PromptForm, read_prompt_form
from ..tasks import Segment, SegmentKind, Turn, build_prompt
from .chat_template import chat_template, read_prompt
from .configuration import MiniGPTv2Config

IGNORED = -100
# `tokenizer.json` of the largest vocabularies takes tens of megabytes.
_LARGEST_TOKENIZER = 2**27
# Options of transformers' processors that ask for what is done anyway.
_SUPPORTED: dict[str, tuple[Any, ...]] = {
    "return_tensors": ("pt",),
    "padding": (True, "longest"),
    "padding_side": ("left",),
    "truncation": (False,),
    "add_special_tokens": (False,),
}

Images: TypeAlias = "Source | Sequence[Source | None] | Sequence[Sequence[Source]] | None"
"""An image, or images; None stands for a conversation without one."""


class MiniGPTv2ImageProcessor(CLIPImageProcessorPil):
    """RGB, bicubic resize to a square without keeping the aspect ratio, CLIP's mean and standard deviation.

    The reference's `Blip2ImageEvalProcessor`, for training and evaluation: boxes refer to the full image.
    """

    resample = PILImageResampling.BICUBIC
    size: ClassVar[dict[str, int]] = {"height": 448, "width": 448}
    do_center_crop = False


@dataclass(frozen=True)
class EncodedPrompt:
    """Token ids of one prompt, and labels of the same length, -100 except on answers."""

    input_ids: list[int]
    labels: list[int]

    def __add__(self, other: EncodedPrompt) -> EncodedPrompt:
        return EncodedPrompt(self.input_ids + other.input_ids, self.labels + other.labels)

    def __len__(self) -> int:
        return len(self.input_ids)

    def cut(self, start: int, stop: int) -> EncodedPrompt:
        """Return the tokens at places from `start` to before `stop`."""
        return EncodedPrompt(self.input_ids[start:stop], self.labels[start:stop])


class MiniGPTv2Processor(ProcessorMixin):
    """The tokenizer, image preprocessing, number of visual tokens per image, and prompt form.

    Raises:
        WeightsError: the prompt form is invalid.
    """

    def __init__(
        self,
        image_processor: MiniGPTv2ImageProcessor,
        tokenizer: PreTrainedTokenizerFast,
        image_tokens: int = 256,
        image_token_id: int | None = None,
        prompt_form: PromptForm | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_tokens = image_tokens
        self.prompt_form = read_prompt_form(prompt_form)
        self.image_token_id = len(tokenizer) if image_token_id is None else image_token_id
        tokenizer.padding_side = "left"
        # The template is the prompt form's, whatever another one in the folder says.
        kwargs["chat_template"] = chat_template(self.prompt_form.asking)
        super().__init__(image_processor, tokenizer, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *arguments: Any, **options: Any) -> Any:
        """Load a processor as transformers does, from a folder or a repository of the Hugging Face Hub.

        Raises:
            WeightsError: there is no such folder or repository, or a file is missing in it.
        """
        folder = fetched(pretrained_model_name_or_path, options)
        for name in ("processor_config.json", "tokenizer_config.json", "tokenizer.json"):
            if not (folder / name).is_file():
                raise WeightsError(f"there is no file {folder / name}; copy the folder again")
        options.pop("trust_remote_code", None)
        return super().from_pretrained(str(folder), *arguments, trust_remote_code=False, **options)

    @classmethod
    def load(cls, folder: Path) -> MiniGPTv2Processor:
        """Load the processor of a full model's folder from its checked settings and `tokenizer.json`.

        Raises:
            WeightsError: a file is missing, or a setting is invalid.
        """
        checked = read_model_folder(folder)
        settings = checked.processor
        values = settings.image_processor.given()
        del values["image_processor_type"]
        return cls(
            MiniGPTv2ImageProcessor(**values),
            load_tokenizer(checked),
            settings.image_tokens,
            settings.image_token_id,
            settings.prompt_form,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `processor_config.json`."""
        values: dict[str, Any] = super().to_dict()
        return values | {"prompt_form": self.prompt_form.model_dump(mode="json")}

    def encode(self, segments: Sequence[Segment]) -> EncodedPrompt:
        """Tokenize a prompt, each segment separately."""
        encoded = EncodedPrompt([], [])
        for segment in segments:
            ids = self._segment_ids(segment)
            is_target = segment.kind in (SegmentKind.ANSWER, SegmentKind.END)
            encoded += EncodedPrompt(ids, ids if is_target else [IGNORED] * len(ids))
        return encoded

    def pixels(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Return images as a float tensor (images, 3, side, side)."""
        batch = self.image_processor([image.convert("RGB") for image in images], return_tensors="pt")
        pixels: torch.Tensor = batch["pixel_values"]
        return pixels

    def __call__(
        self,
        images: Images = None,
        conversations: Sequence[Sequence[Turn]] | None = None,
        max_length: int | None = None,
        *,
        text: str | Sequence[str] | None = None,
        **options: Any,
    ) -> BatchFeature:
        """Build a left-padded batch for `generate` from conversations or from `text`.

        With `conversations` there is one image or None for each. `text` holds whole prompts, as the chat
        template writes them, with `<ImageHere>` in place of each image. Of transformers' options those are
        accepted that ask for what is done anyway.

        Raises:
            ValueError: numbers differ, a prompt exceeds `max_length` tokens, or an option is not supported.
        """
        _require_supported(options)
        shown = _flat(images)
        if conversations is not None:
            shown, prompts = self._conversations(shown, conversations)
        elif text is not None:
            frame = self.prompt_form.asking
            shown = [image for image in shown if image is not None]
            texts = [text] if isinstance(text, str) else text
            prompts = [self.encode(read_prompt(prompt, frame)).input_ids for prompt in texts]
        else:
            raise ValueError("give conversations or text")
        longest = max(map(len, prompts))
        if max_length is not None and longest > max_length:
            raise ValueError(f"a prompt of {longest} tokens is over the limit of {max_length}: shorten it")
        pad = self.tokenizer.pad_token_id
        batch = {
            "input_ids": torch.tensor([[pad] * (longest - len(ids)) + ids for ids in prompts]),
            "attention_mask": torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]),
        }
        self._check_placeholders(batch["input_ids"], len(shown))
        if shown:
            batch["pixel_values"] = self.pixels([as_seen(image) for image in shown])
        return BatchFeature(batch)

    def _conversations(
        self, images: Sequence[Source | None], conversations: Sequence[Sequence[Turn]]
    ) -> tuple[list[Source], list[list[int]]]:
        """Return the images that there are, and the prompts' token ids."""
        if len(images) != len(conversations):
            raise ValueError(f"{len(images)} images for {len(conversations)} conversations")
        prompts = [
            self.encode(build_prompt(turns, image=image is not None, frame=self.prompt_form.asking)).input_ids
            for image, turns in zip(images, conversations, strict=True)
        ]
        return [image for image in images if image is not None], prompts

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **options: Any
    ) -> list[str]:
        """Return generated rows as text; the placeholders of images have none."""
        rows = [
            [token for token in torch.as_tensor(row).tolist() if token != self.image_token_id]
            for row in generated_outputs
        ]
        decoded: list[str] = self.tokenizer.batch_decode(
            rows, skip_special_tokens=skip_special_tokens, **options
        )
        return decoded

    def decode_answer(self, ids: Sequence[int]) -> str:
        """Return generated tokens as text without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _check_placeholders(self, input_ids: torch.Tensor, pictures: int) -> None:
        count = int((input_ids == self.image_token_id).sum())
        if count != pictures * self.image_tokens:
            raise ValueError(
                f"{count} image placeholders in the prompts, {pictures * self.image_tokens} wanted for "
                f"{pictures} images of {self.image_tokens} visual tokens"
            )

    def _segment_ids(self, segment: Segment) -> list[int]:
        if segment.kind is SegmentKind.BEGIN:
            return [self.tokenizer.bos_token_id]
        if segment.kind is SegmentKind.END:
            return [self.tokenizer.eos_token_id]
        if segment.kind is SegmentKind.IMAGE:
            return [self.image_token_id] * self.image_tokens
        return token_ids(self.tokenizer, segment.text)


def _flat(images: Images) -> list[Any]:
    """Return one image, a list, or a list for each prompt as one list."""
    if images is None or not isinstance(images, list | tuple):
        return [] if images is None else [images]
    return [image for item in images for image in (item if isinstance(item, list | tuple) else [item])]


def _require_supported(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if value is not None and value not in _SUPPORTED.get(name, ()):
            raise ValueError(f"{name}={value!r} is not supported: leave it out")


def token_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Tokenize a person's text literally.

    The name of a special token is plain text; a lone surrogate, which no tokenizer accepts, becomes "?".

    Raises:
        WeightsError: the tokenizer panics, as over a pattern of its file that takes too long.
    """
    text = text.encode(errors="replace").decode()
    try:
        ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    except BaseException as error:
        if not _is_panic(error):
            raise
        path = tokenizer.name_or_path
        raise WeightsError(f"{path} cannot encode this text: {one_line(error)}; use another model") from error
    return ids


def load_tokenizer(checked: ModelFolder) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a model's folder with checked settings.

    Raises:
        WeightsError: `tokenizer.json` is invalid, or has more tokens than the model.
    """
    path, settings = checked.path / "tokenizer.json", checked.tokenizer
    read_settings(path, TokenizerFile, _LARGEST_TOKENIZER)
    try:
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(path),
            name_or_path=str(path),
            clean_up_tokenization_spaces=settings.clean_up_tokenization_spaces,
            **settings.special_tokens(),
        )
    except BaseException as error:  # the readers below raise many kinds, panics among them
        if not (isinstance(error, Exception) or _is_panic(error)):
            raise
        raise WeightsError(f"{path} cannot be read: {one_line(error)}; copy the folder again") from error
    known = checked.config.text_config.vocab_size
    if len(tokenizer) > known:
        raise WeightsError(
            f"{path} has {len(tokenizer)} tokens, the model {known} (text_config.vocab_size in config.json); "
            "copy the folder again"
        )
    return tokenizer


def _is_panic(error: BaseException) -> bool:
    """Return whether a library in Rust panicked, which is no `Exception`."""
    return type(error).__name__ == "PanicException"


AutoImageProcessor.register(MiniGPTv2Config, image_processor_classes={"pil": MiniGPTv2ImageProcessor})
AutoProcessor.register(MiniGPTv2Config, MiniGPTv2Processor)
