"""The model and its processor, known to transformers' Auto classes once this module is imported."""

from __future__ import annotations

from .modeling import MiniGPTv2ForConditionalGeneration
from .processing import MiniGPTv2Processor

__all__ = ["MiniGPTv2ForConditionalGeneration", "MiniGPTv2Processor"]
