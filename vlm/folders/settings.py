"""The settings of every file in a model's or adapter's folder, as pydantic models that check their ranges.

Folders are untrusted, and the libraries run code named in a setting, or allocate whatever a number says. So
an unknown setting is an error unless it is off (null, false, 0 or empty), because new releases of the
libraries write more of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..generation_options import MOST_BEAMS
from ..prompt_form import PromptForm

# The origin of a file, as transformers writes it.
_ORIGIN = {"_name_or_path", "_from_model_config"}

LINEAR_LAYERS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
QUERY_VALUE = r".*language_model\..*\.(q_proj|v_proj)"
LINEAR_LAYERS_AND_TOWER = rf"{LINEAR_LAYERS}|.*vision_tower\..*\.(q_proj|v_proj|fc1|fc2)"
"""The layers with LoRA, as PEFT patterns; the tower is named, since its layers may share the language model's
names."""

Text = Annotated[str, Field(max_length=4096)]
SpecialToken = Annotated[str, Field(min_length=1, max_length=4096)]
Count = Annotated[int, Field(ge=1, le=2**10)]
Width = Annotated[int, Field(ge=1, le=2**17)]
Size = Annotated[int, Field(ge=1, le=2**24)]
LARGEST_SIDE = 2**11
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
TokenId = Annotated[int, Field(ge=0, le=2**24)]
Share = Annotated[float, Field(ge=0, le=1)]
Small = Annotated[float, Field(gt=0, le=1)]
Channels = Annotated[list[Share], Field(min_length=3, max_length=3)]
Spread = Annotated[list[Small], Field(min_length=3, max_length=3)]
Activation = Literal["silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu"]
Rank = Annotated[int, Field(ge=1, le=2**10)]
LARGEST_ALPHA = 2**16
Alpha = Annotated[int, Field(ge=1, le=LARGEST_ALPHA)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["float32", "float16", "bfloat16"]


class Settings(BaseModel):
    """Base of the settings of a file or a part of one."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _without_unset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = cls.model_fields.keys()
        return {name: it for name, it in values.items() if name in known or (it and name not in _ORIGIN)}

    def given(self) -> dict[str, Any]:
        """Return the values in the file."""
        return self.model_dump(exclude_unset=True)


class _Config(Settings):
    """Fields that transformers writes to every configuration."""

    architectures: list[Text] | None = None
    dtype: Precision | None = None
    torch_dtype: Precision | None = None
    transformers_version: Text | None = None
    return_dict: bool = True
    id2label: dict[Text, Text] | None = None
    label2id: dict[Text, int] | None = None
    problem_type: Text | None = None

    def given(self) -> dict[str, Any]:
        """Return the values that describe the model."""
        return self.model_dump(exclude_unset=True, exclude=set(_Config.model_fields))


class RopeSettings(Settings):
    """The settings of LLaMA's rotary position embeddings."""

    rope_type: Literal["default"] = "default"
    rope_theta: Annotated[float, Field(gt=0)] = 10000.0


class LlamaSettings(_Config):
    """The settings of the language model."""

    model_type: Literal["llama"]
    vocab_size: Size
    hidden_size: Width
    intermediate_size: Width
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    hidden_act: Activation = "silu"
    max_position_embeddings: Size
    rms_norm_eps: Small = 1e-6
    rope_parameters: RopeSettings | None = None
    initializer_range: Share = 0.02
    attention_dropout: Share = 0.0
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False
    use_cache: bool = True
    pretraining_tp: Literal[1] = 1
    bos_token_id: TokenId | None = None
    eos_token_id: TokenId | None = None
    pad_token_id: TokenId | None = None
    unk_token_id: TokenId | None = None

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.num_attention_heads % (self.num_key_value_heads or 1):
            raise ValueError("num_key_value_heads does not divide num_attention_heads")
        return self


class Dinov2Settings(_Config):
    """The settings of a DINOv2 tower."""

    model_type: Literal["dinov2"]
    hidden_size: Width
    num_hidden_layers: Count
    num_attention_heads: Count
    mlp_ratio: Annotated[int, Field(ge=1, le=64)] = 4
    image_size: Side
    patch_size: Count
    num_channels: Literal[3] = 3
    hidden_act: Activation = "gelu"
    layer_norm_eps: Small = 1e-6
    layerscale_value: float = 1.0
    initializer_range: Share = 0.02
    attention_probs_dropout_prob: Share = 0.0
    hidden_dropout_prob: Share = 0.0
    drop_path_rate: Share = 0.0
    apply_layernorm: bool = True
    qkv_bias: bool = True
    reshape_hidden_states: bool = True
    use_mask_token: bool = True
    use_swiglu_ffn: bool = False
    # Derived from the number of layers.
    out_features: list[Text] | None = Field(default=None, exclude=True)
    out_indices: list[int] | None = Field(default=None, exclude=True)
    stage_names: list[Text] | None = Field(default=None, exclude=True)


class Blip2VisionSettings(_Config):
    """The settings of the reference's tower."""

    model_type: Literal["blip_2_vision_model"]
    hidden_size: Width
    intermediate_size: Width
    num_hidden_layers: Count
    num_attention_heads: Count
    image_size: Side
    patch_size: Count
    hidden_act: Activation = "gelu"
    layer_norm_eps: Small = 1e-6
    initializer_range: Share = 0.02
    attention_dropout: Share = 0.0
    qkv_bias: bool = True


class ClassifierSettings(_Config):
    """The settings of an `EfficientNetLite`."""

    model_type: Literal["efficientnet_lite"]
    stem_channels: Width
    stages: Annotated[
        list[Annotated[list[Width], Field(min_length=5, max_length=5)]], Field(min_length=1, max_length=64)
    ]
    outputs: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=64)]
    image_size: Side
    grid: Count
    image_mean: Channels
    image_std: Spread

    @model_validator(mode="after")
    def _outputs_are_blocks(self) -> Self:
        blocks = sum(stage[4] for stage in self.stages)
        if blocks > 2**10 or max(self.outputs) >= blocks:
            raise ValueError(f"outputs counts up to {max(self.outputs)}, there are {blocks} blocks")
        return self


class ModelSettings(_Config):
    """`config.json`."""

    model_type: Literal["minigpt_v2"]
    vision_config: Annotated[Dinov2Settings | Blip2VisionSettings, Field(discriminator="model_type")]
    text_config: LlamaSettings
    classifier_config: ClassifierSettings | None = None
    patches_per_token: Annotated[int, Field(ge=1, le=16)]
    image_size: Side
    image_token_id: TokenId | None = None
    tie_word_embeddings: bool = False
    use_cache: bool = True

    def given(self) -> dict[str, Any]:
        """Return the values that describe the model."""
        parts = {name: getattr(self, name) for name in ("vision_config", "text_config", "classifier_config")}
        return super().given() | {name: part.given() for name, part in parts.items() if part is not None}


class SizeSettings(Settings):
    """The size of an image in pixels."""

    height: Side
    width: Side


class ImageProcessorSettings(Settings):
    """The settings of image preprocessing."""

    image_processor_type: Literal["MiniGPTv2ImageProcessor"]
    size: SizeSettings
    crop_size: SizeSettings | None = None
    image_mean: Channels
    image_std: Spread
    resample: Annotated[int, Field(ge=0, le=5)] = 3
    rescale_factor: Small = 1 / 255
    do_center_crop: bool = False
    do_convert_rgb: bool = True
    do_normalize: bool = True
    do_rescale: bool = True
    do_resize: bool = True


class ProcessorSettings(Settings):
    """`processor_config.json`."""

    processor_class: Literal["MiniGPTv2Processor"]
    image_processor: ImageProcessorSettings
    image_tokens: Annotated[int, Field(ge=1, le=2**12)]
    image_token_id: TokenId
    prompt_form: PromptForm | None = None


class TokenizerSettings(Settings):
    """`tokenizer_config.json`; the pieces themselves are in `tokenizer.json`."""

    tokenizer_class: Literal["TokenizersBackend", "PreTrainedTokenizerFast"]
    backend: Literal["tokenizers"] = "tokenizers"
    processor_class: Literal["MiniGPTv2Processor"] | None = None
    bos_token: SpecialToken
    eos_token: SpecialToken
    pad_token: SpecialToken
    unk_token: SpecialToken | None = None
    clean_up_tokenization_spaces: bool = False
    model_max_length: Annotated[int, Field(gt=0)] | None = None
    padding_side: Literal["left", "right"] = "left"
    is_local: bool = True

    def special_tokens(self) -> dict[str, str]:
        """Return the special tokens by role."""
        return self.model_dump(
            include={"bos_token", "eos_token", "pad_token", "unk_token"}, exclude_none=True
        )


class BytePairs(BaseModel):
    """The model of `tokenizer.json`; a continuing prefix makes its reader panic."""

    type: Literal["BPE"]
    continuing_subword_prefix: Literal[""] | None = None


class TokenizerFile(BaseModel):
    """The parts of `tokenizer.json` that its reader does not check."""

    model: BytePairs


class GenerationSettings(Settings):
    """`generation_config.json`: the special tokens, and how answers are generated by default.

    `max_new_tokens` is for transformers' `generate`; ours depends on the task (see the prompt form).
    """

    bos_token_id: TokenId | None = None
    eos_token_id: TokenId | None = None
    pad_token_id: TokenId | None = None
    do_sample: bool = False
    temperature: Annotated[float, Field(gt=0, le=100)] | None = None
    top_p: Small | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] | None = None
    num_beams: Annotated[int, Field(ge=1, le=MOST_BEAMS)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=2**16)] | None = None
    use_cache: bool = True
    transformers_version: Text | None = None

    def given(self) -> dict[str, Any]:
        """Return the values in the file that affect generation."""
        return self.model_dump(exclude={"use_cache", "transformers_version"}, exclude_none=True)


class AdapterSettings(Settings):
    """`adapter_config.json`, as PEFT writes it for adapters of `assistant train`."""

    peft_type: Literal["LORA"]
    base_model_name_or_path: Text
    r: Rank
    lora_alpha: Alpha
    lora_dropout: Dropout = 0.0
    target_modules: Any
    modules_to_save: list[Literal["vision_projection"]]
    bias: Literal["none"] = "none"
    task_type: Text | None = None
    # Fields of PEFT that have no effect after training.
    auto_mapping: Mapping[Text, Text] | None = None
    inference_mode: bool = True
    init_lora_weights: bool = True
    megatron_core: Literal["megatron.core"] | None = None
    peft_version: Text | None = None
    qalora_group_size: Literal[16] = 16

    @property
    def all_linear(self) -> bool:
        """Whether LoRA is on all linear layers of the language model, or only on queries and values."""
        return bool(self.target_modules != QUERY_VALUE)

    @property
    def tower(self) -> bool:
        """Whether LoRA is on the vision tower too."""
        return bool(self.target_modules == LINEAR_LAYERS_AND_TOWER)

    @field_validator("target_modules")
    @classmethod
    def _known_targets(cls, places: Any) -> str:
        if places == LINEAR_LAYERS_AND_TOWER:
            return LINEAR_LAYERS_AND_TOWER
        for pattern in (LINEAR_LAYERS, QUERY_VALUE):
            names = pattern.partition("(")[2].rstrip(")").split("|")
            if places == pattern or (isinstance(places, list) and sorted(map(str, places)) == sorted(names)):
                return pattern
        raise ValueError(
            "LoRA must be on all linear layers of the language model, with or without the tower's, "
            "or on q_proj and v_proj"
        )
