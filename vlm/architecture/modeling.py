"""MiniGPT-v2 (arXiv 2310.09478) as a transformers model.

A frozen vision tower, whose patch tokens are concatenated in fours, one linear layer, and a LLaMA-like
language model. A second frozen tower may add an image classifier's features to each patch. The first tower
can be any transformers vision model whose `last_hidden_state` starts with a class token, and the head any
causal language model; of those, a folder may hold the ones that `folders/settings.py` lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    Blip2VisionConfig,
    Blip2VisionModel,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.cache_utils import Cache
from transformers.utils.generic import ModelOutput

from ..folders.hub import fetched
from .adapter import with_own_adapter
from .configuration import MiniGPTv2Config


@dataclass
class MiniGPTv2Output(ModelOutput):
    """The result of `forward`.

    `loss` is the mean over labelled tokens (None without labels); `logits` has the shape (batch, kept
    positions, vocabulary).
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class StripMerge(nn.Module):
    """Joins each run of consecutive patches in raster order: a 1x4 strip, not a 2x2 square.

    The reference's `encode_img`: `view(batch, patches / 4, 4 * width)`.
    """

    def __init__(self, patches_per_token: int) -> None:
        super().__init__()
        self.patches_per_token = patches_per_token

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Turn (batch, patches, width) into (batch, patches / n, n * width)."""
        batch, count, width = patches.shape
        if count % self.patches_per_token:
            raise ValueError(f"{count} patches do not divide into strips of {self.patches_per_token}")
        return patches.reshape(batch, count // self.patches_per_token, width * self.patches_per_token)


class PictureEncoder:
    """Turns images into visual tokens: the part of the model that every way of running it shares."""

    vision_tower: PreTrainedModel
    classifier_tower: PreTrainedModel | None
    merge: StripMerge
    vision_projection: nn.Linear

    def build_vision(self, config: MiniGPTv2Config) -> None:
        """Add the towers, the merge of their patches, and the linear layer, with random weights."""
        self.vision_tower = _build_tower(config.vision_config)
        self.merge = StripMerge(config.patches_per_token)
        classifier = config.classifier_config
        self.classifier_tower = None if classifier is None else AutoModel.from_config(classifier)
        self.vision_projection = nn.Linear(
            config.patch_features * config.patches_per_token, config.text_config.hidden_size
        )

    def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Turn images (images, 3, side, side) into visual tokens (images, tokens, text width)."""
        patches = self.get_patches(pixel_values)
        tokens: torch.Tensor = self.vision_projection(patches.to(self.vision_projection.weight.dtype))
        return tokens

    def get_patches(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the frozen towers' features of images, merged: (images, tokens, n * patch features)."""
        pixels = pixel_values.to(self.vision_tower.dtype)
        patches = self.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        if self.classifier_tower is not None:
            cells = self.classifier_tower(pixel_values=pixels).last_hidden_state
            patches = torch.cat([patches, cells.to(patches.dtype)], dim=-1)
        merged: torch.Tensor = self.merge(patches)
        return merged


class MiniGPTv2PreTrainedModel(PreTrainedModel):
    """Settings for transformers' own machinery."""

    config_class = MiniGPTv2Config
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _skip_keys_device_placement: ClassVar[list[str]] = ["past_key_values"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_attention_backend = True


class MiniGPTv2ForConditionalGeneration(PictureEncoder, MiniGPTv2PreTrainedModel, GenerationMixin):
    """Generates text from images and text."""

    def __init__(self, config: MiniGPTv2Config) -> None:
        super().__init__(config)
        self.build_vision(config)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *arguments: Any, **options: Any) -> Any:
        """Load a model as transformers does, with the LoRA of a converted folder merged into it.

        A repository of the Hugging Face Hub is fetched whole.
        """
        name = pretrained_model_name_or_path
        folder = None if name is None else fetched(name, options)
        options.pop("trust_remote_code", None)
        loaded = super().from_pretrained(folder, *arguments, trust_remote_code=False, **options)
        if isinstance(loaded, tuple):  # with a report of the weights
            return with_own_adapter(loaded[0], folder), loaded[1]
        return with_own_adapter(loaded, folder)

    def get_input_embeddings(self) -> nn.Module:
        """Return the language model's token embedding."""
        embeddings: nn.Module = self.language_model.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's token embedding."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """Return the language model's head."""
        head: nn.Module = self.language_model.get_output_embeddings()
        return head

    def embed(self, input_ids: torch.Tensor, pixel_values: torch.Tensor | None) -> torch.Tensor:
        """Embed tokens (batch, length) and replace the placeholders with the images' visual tokens.

        Raises:
            ValueError: the numbers of placeholders and visual tokens differ.
        """
        features = None if pixel_values is None else self.get_image_features(pixel_values)
        return self.embed_with_features(input_ids, features)

    def embed_with_features(self, input_ids: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        """Like `embed`, from precomputed visual tokens (images, tokens, text width).

        Raises:
            ValueError: the numbers of placeholders and visual tokens differ.
        """
        placeholders = input_ids == self.config.image_token_id
        embeddings: torch.Tensor = self.get_input_embeddings()(input_ids.masked_fill(placeholders, 0))
        count = int(placeholders.sum())
        given = 0 if features is None else features.shape[0] * features.shape[1]
        if count != given:
            raise ValueError(
                f"the prompts hold {count} image placeholders but the images give {given} visual "
                f"tokens: each image needs {self.config.image_tokens}; was a prompt cut?"
            )
        if features is None:
            return embeddings
        return embeddings.masked_scatter(placeholders.unsqueeze(-1), features.to(embeddings.dtype))

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        label_weights: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        answers_only: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> MiniGPTv2Output:
        """Run the model on exactly one of `input_ids` and `inputs_embeds`.

        `pixel_values` (images, 3, side, side) are in the order of the placeholders; `labels` (batch, length)
        are -100 at positions without loss. With `answers_only`, logits are computed only at labelled
        positions and have the shape (labelled positions, vocabulary): same loss, less work. The loss is the
        mean over labelled tokens, or their sum divided by `num_items_in_batch` if given, weighted by
        `label_weights` (batch, length).
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        if answers_only and labels is None:
            raise ValueError("answers_only needs labels")
        if input_ids is not None:
            inputs_embeds = self.embed(input_ids, pixel_values)
        outputs = self.language_model.get_decoder()(
            inputs_embeds=inputs_embeds,
            attention_mask=self._adapt_mask(attention_mask),
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        hidden, head = outputs.last_hidden_state, self.get_output_embeddings()
        loss = None
        if labels is None:
            logits = head(_kept(hidden, logits_to_keep))
        else:
            # The token at a position is predicted one position earlier.
            learnt = labels[:, 1:]
            answers = learnt != -100 if answers_only else torch.ones_like(learnt, dtype=torch.bool)
            logits = head(hidden[:, :-1][answers] if answers_only else hidden)
            predicted = logits if answers_only else logits[:, :-1].flatten(0, 1)
            weights = None if label_weights is None else label_weights[:, 1:][answers]
            loss = _answer_loss(predicted, learnt[answers], weights, num_items_in_batch)
        return MiniGPTv2Output(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def _adapt_mask(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        """Turn a boolean 4-dimensional mask into the additive mask that eager attention needs."""
        eager = self.language_model.config._attn_implementation == "eager"
        if mask is None or mask.ndim != 4 or mask.dtype != torch.bool or not eager:
            return mask
        dtype = self.language_model.dtype
        return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)

    def prepare_inputs_for_generation(
        self, input_ids: torch.Tensor, *args: Any, pixel_values: torch.Tensor | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Pass images to the first step only: later steps have them in the cache."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, *args, **kwargs)
        if bool((inputs["input_ids"] == self.config.image_token_id).any()):
            inputs["pixel_values"] = pixel_values
        return inputs


def _build_tower(config: PreTrainedConfig) -> PreTrainedModel:
    if not isinstance(config, Blip2VisionConfig):
        return AutoModel.from_config(config)
    tower = Blip2VisionModel._from_config(config)  # it is not registered with the Auto classes
    # EVA's blocks have eps 1e-6; the reference's `ln_vision` is a plain LayerNorm with 1e-5.
    tower.post_layernorm.eps = 1e-5
    return tower


def _kept(hidden: torch.Tensor, logits_to_keep: int | torch.Tensor) -> torch.Tensor:
    """Return the positions to compute logits for: the last `logits_to_keep` (0: all), or an index's."""
    if isinstance(logits_to_keep, torch.Tensor):
        return hidden[:, logits_to_keep]
    return hidden[:, -logits_to_keep:] if logits_to_keep else hidden


def _answer_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor | None,
    num_items_in_batch: torch.Tensor | int | None,
) -> torch.Tensor:
    """Return the cross entropy of logits (tokens, vocabulary) against labels (tokens), in float32."""
    losses = nn.functional.cross_entropy(logits.float(), labels, reduction="none")
    if weights is not None:
        losses = losses * weights
    items = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
    return losses.sum() / items


AutoConfig.register(MiniGPTv2Config.model_type, MiniGPTv2Config)
AutoModelForImageTextToText.register(MiniGPTv2Config, MiniGPTv2ForConditionalGeneration)
