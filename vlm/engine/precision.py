"""The precision that this machine is quick at."""

from __future__ import annotations

import torch


def quick_precision() -> torch.dtype:
    """Return bfloat16 where the machine computes in it, else float32."""
    if torch.cuda.is_available():
        return torch.bfloat16
    # The question is only known where torch is built with oneDNN, which it is not on a Mac.
    quick = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if quick else torch.float32


__all__ = ["quick_precision"]
