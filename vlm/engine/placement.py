"""Where a model runs and in which precision: devices, quantized weights, several GPUs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from ..errors import WeightsError
from .memory import QUANTIZED_BYTES, loading
from .precision import default_device, fastest_precision

AUTO = "auto"
"""All GPUs, and main memory for the rest."""
_DEVICE = re.compile(rf"{AUTO}|cpu|mps|cuda(:\d{{1,3}})?")
# As the reference does in 8 bits: all but the language model's layers stay as they are.
_NOT_QUANTIZED = ["vision_tower", "classifier_tower", "vision_projection", "language_model.lm_head"]


@dataclass(frozen=True)
class Placement:
    """Where and how a model runs; None is the fastest choice on this machine.

    `device` is cpu, cuda, cuda:1, mps or auto; `quantize` stores the language model's layers in 8bit or 4bit.

    Raises:
        ValueError: there is no such device or quantization.
        WeightsError: this machine lacks the device or the quantization library.
    """

    device: str | None = None
    dtype: torch.dtype | None = None
    quantize: str | None = None

    def __post_init__(self) -> None:
        if self.device is not None:
            if not _DEVICE.fullmatch(self.device):
                raise ValueError(f"device is {self.device!r}: it must be cpu, cuda, cuda:1, mps or auto")
            _require_device(self.device)
        if self.quantize is not None:
            if self.quantize not in QUANTIZED_BYTES:
                raise ValueError(f"quantize is {self.quantize!r}: it must be 8bit or 4bit")
            _quantizer(self.quantize, torch.float16)

    @property
    def first_device(self) -> str:
        """The device that takes the input."""
        return default_device() if self.device in (None, AUTO) else str(self.device)

    @property
    def precision(self) -> torch.dtype:
        """The precision of the weights that are not quantized."""
        return self.dtype or fastest_precision(self.first_device)

    def put(self, model: MiniGPTv2ForConditionalGeneration) -> MiniGPTv2ForConditionalGeneration:
        """Return the model, loaded on the CPU, on its device and quantized if chosen.

        Raises:
            WeightsError: there is too little memory; the message says what would fit.
        """
        shapes = {name: tuple(it.shape) for name, it in model.named_parameters()}
        with loading(shapes, model.dtype, self.first_device, self.quantize):
            if self.quantize is None and self.device != AUTO:
                moved: MiniGPTv2ForConditionalGeneration = model.to(self.first_device)
                return moved
            return self._loaded_again(model)

    def _loaded_again(self, model: MiniGPTv2ForConditionalGeneration) -> MiniGPTv2ForConditionalGeneration:
        """Reload the weights through transformers, which quantizes or spreads them only while loading."""
        quantizer = _quantizer(self.quantize, model.dtype) if self.quantize else None
        loaded: MiniGPTv2ForConditionalGeneration = type(model).from_pretrained(
            None,
            config=model.config,
            state_dict=model.state_dict(),
            dtype=model.dtype,
            device_map=AUTO if self.device == AUTO else {"": self.first_device},
            quantization_config=quantizer,
            trust_remote_code=False,
        )
        loaded.generation_config = model.generation_config
        return loaded


def _require_device(device: str) -> None:
    kind, _, index = device.partition(":")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise WeightsError("--device mps: there is no GPU of Apple's here that PyTorch can use")
    if kind == "cuda" and not torch.cuda.is_available():
        raise WeightsError("--device cuda: there is no NVIDIA or AMD GPU here that PyTorch can use")
    if index and int(index) >= torch.cuda.device_count():
        raise WeightsError(f"--device {device}: the GPUs here are 0 to {torch.cuda.device_count() - 1}")


def _quantizer(kind: str, dtype: torch.dtype) -> Any:
    """Return transformers' quantization settings for the installed library.

    Raises:
        WeightsError: no such library is installed.
    """
    from transformers import BitsAndBytesConfig, TorchAoConfig

    if find_spec("bitsandbytes") is not None:
        return BitsAndBytesConfig(
            load_in_8bit=kind == "8bit",
            load_in_4bit=kind == "4bit",
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=_NOT_QUANTIZED,
        )
    if kind == "8bit" and find_spec("torchao") is not None:
        from torchao.quantization import Int8WeightOnlyConfig

        return TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=_NOT_QUANTIZED)
    libraries = "bitsandbytes or torchao" if kind == "8bit" else "bitsandbytes"
    raise WeightsError(f"--quantize {kind} needs a library: pip install {libraries}")
