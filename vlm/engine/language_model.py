"""A preset's language model without its vision tower, with its part of the adapter: for text only.

It loads in a fraction of the time and memory of the whole model, and without PEFT: the LoRA weights are
merged here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ..answers import Completion, Continuation
from ..architecture.processing import load_tokenizer
from ..errors import WeightsError, one_line
from ..folders.reading import read_adapter, read_model_folder
from ..folders.tensor_files import Tensors, read_tensors
from ..models.presets import DEFAULT_MODEL, PRESETS
from .batching import BatchDecoder
from .completion import Completer
from .precision import fastest_precision
from .threads import own_thread

_LOAD_LOCK = threading.Lock()
_PREFIX = "language_model."
_LORA = re.compile(r".*language_model\.(.+)\.lora_([AB])\.weight")


class LanguageModel:
    """Continues texts; safe to call from several threads."""

    def __init__(self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        text_only: Any = _TextOnlyModel(model.eval())  # the part of a model that the decoder uses
        decoder = BatchDecoder(text_only, tokenizer.eos_token_id)
        room = model.config.max_position_embeddings
        self._completer = Completer(decoder, tokenizer, threading.Lock(), room)

    @classmethod
    @own_thread
    def load(cls, base: Path, adapter: Path) -> LanguageModel:
        """Load the language model from a model's folder and merge its part of an adapter.

        Raises:
            WeightsError: a file cannot be read, or lacks a weight.
        """
        checked = read_model_folder(base)
        settings, tokenizer = read_adapter(adapter), load_tokenizer(checked)
        state = dict(_language_weights(checked.weights))
        try:
            with torch.device("meta"):
                model = LlamaForCausalLM(LlamaConfig(**checked.config.text_config.given()))
            _add_lora(state, adapter, settings.lora_alpha / settings.r)
            state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
            model.load_state_dict(state, assign=True)
        except (KeyError, ValueError, RuntimeError) as error:
            reason = one_line(error) or type(error).__name__
            raise WeightsError(
                f"the language model of {base} with {adapter} cannot be read: {reason}"
            ) from error
        model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(model.to(device, fastest_precision()), tokenizer)

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Continue texts.

        Raises:
            ValueError: a text is too long for the model.
        """
        return self._completer.complete(completions)


class _TextOnlyModel(nn.Module):
    """Gives a language model the interface that the decoder uses."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self.language_model = model
        self.config = model.config
        self.device = model.device
        self.dtype = model.dtype

    def embed_with_features(self, input_ids: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        if features is not None:
            raise ValueError("a text-only model takes no images")
        embeddings: torch.Tensor = self.language_model.get_input_embeddings()(input_ids)
        return embeddings

    def forward(self, **inputs: object) -> Any:
        return self.language_model(**inputs)


def default_language_model() -> LanguageModel:
    """Return the default model's language model, loaded once per process, from any thread.

    Raises:
        WeightsError: its weights are not available.
    """
    with _LOAD_LOCK:  # with the cache alone, concurrent threads would each load the model
        return _load_default()


@cache
def _load_default() -> LanguageModel:
    from ..models.weights import base_model

    preset = PRESETS[DEFAULT_MODEL]
    return LanguageModel.load(base_model(preset), preset.adapter)


def _language_weights(files: Sequence[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in read_tensors(files).items():  # memory-mapped: skipped tensors are not read
        if name.startswith(_PREFIX):
            yield name.removeprefix(_PREFIX), tensor


def _add_lora(state: Tensors, adapter: Path, factor: float) -> None:
    """Merge LoRA into the weights, scaled by `factor`."""
    parts: dict[str, Tensors] = {}
    for name, tensor in read_tensors([adapter / "adapter_model.safetensors"]).items():
        if match := _LORA.fullmatch(name):
            parts.setdefault(match[1], {})[match[2]] = tensor.float()
    for name, part in parts.items():
        weight = state[f"{name}.weight"]
        update = factor * (part["B"] @ part["A"])
        state[f"{name}.weight"] = (weight.float() + update).to(weight.dtype)
