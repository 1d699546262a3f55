"""The devices and precisions that a model can use, and the fastest precision of each device."""

from __future__ import annotations

import torch

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def precision(name: str | None) -> torch.dtype | None:
    """Return the precision of that name; None for the default.

    Raises:
        ValueError: there is no such precision.
    """
    if name is not None and name not in PRECISIONS:
        raise ValueError(f"dtype takes one of {', '.join(PRECISIONS)}, not {name!r}")
    return PRECISIONS[name] if name else None


def default_device() -> str:
    """Return the first CUDA GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def fastest_precision(device: str | None = None) -> torch.dtype:
    """Return bfloat16 if the device supports it, else float16 on a GPU and float32 on a CPU."""
    kind = torch.device(device or default_device())
    if kind.type == "mps":
        return torch.float16
    if kind.type == "cuda":
        with torch.cuda.device(kind):
            supported = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if supported else torch.float16
    # Only a torch built with oneDNN can tell, and Mac builds lack it.
    supported = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if supported else torch.float32
