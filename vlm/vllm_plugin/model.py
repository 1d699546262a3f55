"""MiniGPT-v2 as a vLLM model: our towers and linear layer in front of vLLM's own LLaMA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import SupportsMultiModal, SupportsPP
from vllm.model_executor.models.utils import (
    AutoWeightsLoader,
    init_vllm_registered_model,
    maybe_prefix,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

from ..architecture.modeling import PictureEncoder
from ..errors import WeightsError, one_line
from .pictures import DummyPictures, PictureInfo, PictureProcessor

_TOWERS = ("vision_tower", "classifier_tower")


@MULTIMODAL_REGISTRY.register_processor(PictureProcessor, info=PictureInfo, dummy_inputs=DummyPictures)
class ServedMiniGPTv2(PictureEncoder, nn.Module, SupportsMultiModal, SupportsPP):
    """The language model is vLLM's, with its batching, its cache and its parallelism."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        nn.Module.__init__(self)
        model_config = vllm_config.model_config
        self.config = config = model_config.hf_config
        parts: Any = self  # the interface's methods, without types
        with parts._mark_tower_model(vllm_config, "image"):
            self.build_vision(config)
        self.to(model_config.dtype)  # transformers builds each tower in the precision that its part names
        with parts._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=config.text_config,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=["LlamaForCausalLM"],
            )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:  # noqa: ARG003
        """Return None: the placeholder is a token without a text."""
        if modality != "image":
            raise ValueError(f"the model sees images, and no {modality}")
        return None

    def embed_multimodal(self, **inputs: Any) -> Any:
        """Return the visual tokens of images, (images, tokens, text width)."""
        pixels = inputs.get("pixel_values")
        return [] if pixels is None else self.get_image_features(pixels)

    def _embed_text_input_ids(self, input_ids: torch.Tensor, embed_input_ids: Any, **_: Any) -> torch.Tensor:
        """Embed tokens; placeholders lie outside the vocabulary, and a client may send some alone."""
        placeholders = input_ids == self.config.image_token_id
        embedded: torch.Tensor = embed_input_ids(input_ids.masked_fill(placeholders, 0))
        return embedded

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        **_: Any,
    ) -> Any:
        """Run the language model on embeddings, or on the previous pipeline stage's output."""
        if intermediate_tensors is not None:
            inputs_embeds = None
        return self.language_model.model(
            input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds
        )

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Return the logits of hidden states (tokens, text width)."""
        logits: torch.Tensor | None = self.language_model.compute_logits(hidden_states)
        return logits

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load the folder's weights; return the names of the parameters that they filled.

        Raises:
            WeightsError: a tower's weights are missing, unexpected or of another shape.
        """
        towers: dict[str, dict[str, torch.Tensor]] = {name: {} for name in _TOWERS}

        def others() -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in weights:
                part, _, inner = name.partition(".")
                if part in towers:
                    towers[part][inner] = tensor
                else:
                    yield name, tensor

        loaded: set[str] = AutoWeightsLoader(self).load_weights(others())
        for name, state in towers.items():
            tower = getattr(self, name)
            if isinstance(tower, PreTrainedModel):  # vLLM leaves it out where no images are allowed
                _load_tower(name, tower, state)
                loaded |= {f"{name}.{key}" for key in tower.state_dict()}
        return loaded


def _load_tower(name: str, tower: PreTrainedModel, state: dict[str, torch.Tensor]) -> None:
    """Load a tower through transformers, which knows the weights' names in files of other releases."""
    filled, report = type(tower).from_pretrained(
        None,
        config=tower.config,
        state_dict=state,
        dtype=tower.dtype,
        output_loading_info=True,
        trust_remote_code=False,
    )
    wrong = {kind: sorted(names) for kind, names in report.items() if kind.endswith("_keys") and names}
    if wrong:
        raise WeightsError(f"the weights do not fit the {name}: {one_line(wrong)}; copy the folder again")
    tower.load_state_dict(filled.state_dict())
