"""vLLM's defaults for our models, so that `vllm serve FOLDER` needs no options."""

from __future__ import annotations

from vllm.config import ModelConfig
from vllm.model_executor.models.config import VerifyAndUpdateConfig

MODE = "minigpt_v2"
"""The tokenizer mode under which vLLM finds the renderer of our prompts."""


class ModelDefaults(VerifyAndUpdateConfig):
    """Selects the renderer of our prompts, unless the user chose a tokenizer mode."""

    @staticmethod
    def verify_and_update_model_config(model_config: ModelConfig) -> None:
        """Set the tokenizer mode."""
        if model_config.tokenizer_mode == "auto":
            model_config.tokenizer_mode = MODE
