"""Compile the layers of the language model, which fuses the operations between matrix products."""

from __future__ import annotations

import os
import shutil

import torch

from .adapted_model import AdaptedModel
from .progress import LogLine


def compile_layers(model: AdaptedModel, log_line: LogLine) -> None:
    """Compile the layers for variable lengths; without a C++ compiler on a CPU, only log that."""
    compilers = (os.environ.get("CXX"), "g++", "clang++", "cl")
    if not torch.cuda.is_available() and not any(name and shutil.which(name) for name in compilers):
        log_line("no C++ compiler found: continuing without compiled layers")
        return
    for layer in model.get_base_model().language_model.get_decoder().layers:
        layer.compile(dynamic=True)
