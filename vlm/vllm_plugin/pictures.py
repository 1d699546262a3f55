"""Images inside vLLM: our preprocessing, and the position of their visual tokens in a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import BatchFeature
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
)

from ..architecture.processing import MiniGPTv2Processor


class PictureInfo(BaseProcessingInfo):
    """One image per prompt, always with the same number of tokens."""

    @cached_property
    def processor(self) -> MiniGPTv2Processor:
        """The processor of the model's folder."""
        return MiniGPTv2Processor.load(Path(self.model_id))

    def get_hf_processor(self, **_: object) -> MiniGPTv2Processor:
        """Return the processor; its settings are the model's, and requests cannot change them."""
        return self.processor

    def get_supported_mm_processor_kwargs(self) -> dict[str, set[str]]:
        """Return none."""
        return {"text_kwargs": set(), "images_kwargs": set()}

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Return how many images a prompt may have."""
        return {"image": 1}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:  # noqa: ARG002
        """Return the number of visual tokens of an image."""
        return {"image": self.processor.image_tokens}


class DummyPictures(BaseDummyInputsBuilder[PictureInfo]):
    """Inputs for vLLM's measurement of memory."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:  # noqa: ARG002
        """Return no text: the placeholder is a token without one."""
        return ""

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Any) -> Any:  # noqa: ARG002
        """Return blank images of the model's size."""
        size = self.info.processor.image_processor.size
        count = mm_counts.get("image", 0)
        images = self._get_dummy_images(width=size["width"], height=size["height"], num_images=count)
        return {"image": images}


class PictureProcessor(BaseMultiModalProcessor[PictureInfo]):
    """Turns images into pixels, and the placeholder in a prompt into one per visual token."""

    def get_dummy_inputs(self, *arguments: Any, **named: Any) -> Any:
        """Return a prompt of nothing but images."""
        inputs = super().get_dummy_inputs(*arguments, **named)
        images = inputs.mm_data_items.get_all_counts().get("image", 0)
        inputs.prompt = [self.info.processor.image_token_id] * images
        return inputs

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, object]) -> BatchFeature:  # noqa: ARG002
        return BatchFeature({"pixel_values": self.info.processor.pixels(hf_data["images"])})

    def _get_mm_fields_config(self, *_: object, **__: object) -> Mapping[str, Any]:
        return {"pixel_values": MultiModalFieldConfig.batched("image")}

    def _get_prompt_updates(self, *_: object, **__: object) -> Sequence[Any]:
        processor = self.info.processor
        placeholder = [processor.image_token_id]
        tokens = placeholder * processor.image_tokens
        return [PromptReplacement(modality="image", target=placeholder, replacement=tokens)]
