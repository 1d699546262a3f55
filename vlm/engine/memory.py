"""Memory that a model takes and a device has, and a one-line error if it is too small."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from ..errors import AssistantError, WeightsError

Shapes = Mapping[str, tuple[int, ...]]

QUANTIZED_BYTES = {"8bit": 1.0, "4bit": 0.5625}
"""Bytes per weight with `--quantize`; 4bit has a scale for every 64 weights."""
# Keys, values and intermediate results take some of the memory as well.
_SHARE_FOR_WEIGHTS = 0.9
# The weights that are quantized: those of the language model's linear layers, without its head.
_LAYER = re.compile(r"language_model\.model\.layers\..+_proj\.weight")
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|MPS backend out of memory")


def weight_bytes(shapes: Shapes, width: int, quantize: str | None = None) -> int:
    """Return the size in bytes of weights of `width` bytes each, some of them quantized by `quantize`."""
    layers = sum(math.prod(it) for name, it in shapes.items() if _LAYER.fullmatch(name)) if quantize else 0
    others = sum(map(math.prod, shapes.values())) - layers
    return others * width + (round(layers * QUANTIZED_BYTES[quantize]) if quantize else 0)


def memory_of(device: str) -> tuple[int, int]:
    """Return the free and total memory of a device in bytes; of the machine for a CPU."""
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(torch.device(device))
        return free, total
    import psutil

    held = psutil.virtual_memory()
    return held.available, held.total


def fits(size: int, device: str, *, free: bool = True) -> bool:
    """Return whether weights leave room for answers in the free, or else the total, memory of a device."""
    return size <= _SHARE_FOR_WEIGHTS * memory_of(device)[0 if free else 1]


def gigabytes(size: int) -> str:
    """Return a size in bytes as text in GB."""
    return f"{size / 10**9:.1f} GB"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device is out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


@contextmanager
def loading(shapes: Shapes, dtype: torch.dtype, device: str, quantize: str | None = None) -> Iterator[None]:
    """Turn an out-of-memory error into one line that says what would fit.

    Raises:
        WeightsError: the device has too little memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        size, (free, total) = weight_bytes(shapes, dtype.itemsize, quantize), memory_of(device)
        how = quantize or str(dtype).removeprefix("torch.")
        remedies = _remedies(shapes, dtype.itemsize, device, size)
        raise WeightsError(
            f"out of memory: the weights take {gigabytes(size)} in {how}, {device} has {gigabytes(free)} of "
            f"{gigabytes(total)} free; {remedies}"
        ) from error


def _remedies(shapes: Shapes, width: int, device: str, tried: int) -> str:
    """Return the options that make the weights fit, or else where to find more memory."""
    smaller = [("--dtype float16", weight_bytes(shapes, 2))] if width > 2 else []
    smaller += [(f"--quantize {it}", weight_bytes(shapes, min(width, 2), it)) for it in QUANTIZED_BYTES]
    found = [
        f"{option} takes {gigabytes(size)}" for option, size in smaller if size < tried and fits(size, device)
    ]
    if device != "cpu":
        found.append("--device auto uses the main memory as well")
    return " and ".join(found) or "close other programs, or take a machine with more"


def readable(error: Exception) -> Exception:
    """Return the error of an answer; if it is out of memory, one that says what to do."""
    if not is_out_of_memory(error):
        return error
    readable = AssistantError(
        "out of memory while answering: ask about fewer images at a time, for shorter answers "
        "(--max-tokens), or load less (--quantize 8bit)"
    )
    readable.__cause__ = error
    return readable
