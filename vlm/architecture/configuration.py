"""The configuration of MiniGPT-v2 for transformers."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig

from .efficientnet import EfficientNetLiteConfig


class MiniGPTv2Config(PreTrainedConfig):
    """The vision and text configurations, and the projection between them.

    `patches_per_token` consecutive patches in raster order make one visual token (4 in arXiv 2310.09478);
    `image_size` is the side in pixels of the tower's square input; `image_token_id` is the placeholder in
    `input_ids`, by default outside of the language model's vocabulary, so that no text can produce it. With
    `classifier_config`, a second frozen tower (an image classifier's trunk) sees the same input, and its
    features are concatenated to those of each patch.

    Raises:
        ValueError: the patches of an image do not divide into visual tokens.
    """

    model_type = "minigpt_v2"
    sub_configs: ClassVar[dict[str, Any]] = {
        "vision_config": AutoConfig,
        "text_config": AutoConfig,
        "classifier_config": AutoConfig,
    }

    # A configuration, or a dictionary of its values, which is converted on construction.
    vision_config: Any = None
    text_config: Any = None
    classifier_config: Any = None
    patches_per_token: int = 4
    image_size: int = 448
    image_token_id: int | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        vision_config = {"image_size": self.image_size} if self.vision_config is None else self.vision_config
        self.vision_config = _sub_config(vision_config, "blip_2_vision_model")
        self.text_config = _sub_config(self.text_config, "llama")
        if self.classifier_config is not None:
            self.classifier_config = _sub_config(self.classifier_config, EfficientNetLiteConfig.model_type)
        if self.image_token_id is None:
            self.image_token_id = self.text_config.vocab_size
        side, rest = divmod(self.image_size, self.vision_config.patch_size)
        if rest or side * side % self.patches_per_token:
            raise ValueError(
                f"an image of {self.image_size} x {self.image_size} does not divide into patches of "
                f"{self.vision_config.patch_size}, {self.patches_per_token} of them a token"
            )
        if self.classifier_config is not None and self.classifier_config.grid != side:
            raise ValueError(
                f"the classifier's maps have {self.classifier_config.grid} cells a side, the vision tower's "
                f"patches {side}"
            )
        fixed = self.vision_config.model_type == "blip_2_vision_model"  # it does not interpolate positions
        if fixed and self.vision_config.image_size != self.image_size:
            raise ValueError(
                f"the vision tower has positions for {self.vision_config.image_size} pixels, images have "
                f"{self.image_size}"
            )
        self.tie_word_embeddings = self.text_config.tie_word_embeddings
        super().__post_init__(**kwargs)

    @property
    def image_tokens(self) -> int:
        """The number of visual tokens per image."""
        side: int = self.image_size // self.vision_config.patch_size
        return side * side // self.patches_per_token

    @property
    def patch_features(self) -> int:
        """The number of features per patch, including the classifier's."""
        classifier = self.classifier_config
        return int(self.vision_config.hidden_size + (classifier.hidden_size if classifier else 0))


def _sub_config(config: dict[str, Any] | PreTrainedConfig | None, default_type: str) -> PreTrainedConfig:
    if isinstance(config, PreTrainedConfig):
        return config
    values = dict(config or {})
    return AutoConfig.for_model(values.pop("model_type", default_type), **values)
