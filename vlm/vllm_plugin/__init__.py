"""The model inside vLLM: with this package installed, `vllm serve FOLDER` serves our model folders.

vLLM calls `register` in each of its processes, through the entry point `vllm.general_plugins`.
"""

from __future__ import annotations

_ARCHITECTURE = "MiniGPTv2ForConditionalGeneration"


def register() -> None:
    """Register the configuration, the model, and its prompt renderer with vLLM."""
    from vllm import ModelRegistry
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP
    from vllm.renderers.registry import RENDERER_REGISTRY
    from vllm.tokenizers.registry import TokenizerRegistry

    from ..architecture import modeling  # noqa: F401 (registers the configuration with transformers)
    from .defaults import MODE, ModelDefaults

    ModelRegistry.register_model(_ARCHITECTURE, f"{__name__}.model:ServedMiniGPTv2")
    MODELS_CONFIG_MAP[_ARCHITECTURE] = ModelDefaults
    TokenizerRegistry.register(MODE, "vllm.tokenizers.hf", "CachedHfTokenizer")
    RENDERER_REGISTRY.register(MODE, f"{__name__}.renderer", "TurnRenderer")


__all__ = ["register"]
