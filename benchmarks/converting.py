"""Measure the time and memory of converting the released files, on random files of the same widths.

Run `python benchmarks/converting.py [--llama-layers N] [--tower-layers N] [--folder DIR] [--out FILE]`. The
whole model has 32 and 39 layers, and takes 34 GB of disk for the files and the result; fewer take less.

Memory is that of the process that converts: `peak_rss_bytes` counts the pages of mapped files as well, which
the system takes back when it needs them; `peak_own_bytes` is what the process itself holds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from figures import arguments, publish
from safetensors.torch import save_file
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM

from assistant.vlm.folders.writing import SHARD

WIDTH, TOWER_WIDTH, TOWER_MLP, RANK, IMAGE_SIZE = 4096, 1408, 6144, 64, 448
NAMES = ("llama", "eva_vit_g.pth", "checkpoint.pth", "minigpt-v2")

_COMMAND = "from assistant.ui.cli import main; main()"

Shapes = Mapping[str, tuple[int, ...]]


def random_weights(shapes: Shapes, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return weights of these shapes, all with the same random numbers."""
    numbers = torch.randn(2**20).to(dtype)
    weights = {}
    for name, shape in shapes.items():
        count = torch.Size(shape).numel()
        weights[name] = numbers.repeat(-(-count // len(numbers)))[:count].reshape(shape).contiguous()
    return weights


def write_llama(folder: Path, layers: int) -> None:
    """Write LLaMA-2-7B with fewer layers, in two files in float16."""
    config = LlamaConfig(hidden_size=WIDTH, intermediate_size=11008, num_hidden_layers=layers)
    config.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab={"<unk>": 0, "<s>": 1, "</s>": 2}, merges=[]))
    tokenizer.save(str(folder / "tokenizer.json"))
    with torch.device("meta"):
        shapes = {name: tuple(it.shape) for name, it in LlamaForCausalLM(config).state_dict().items()}
    names = list(shapes)
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        weights = random_weights({name: shapes[name] for name in part}, torch.float16)
        save_file(weights, folder / f"model-0000{number}-of-00002.safetensors")


def tower_shapes(layers: int) -> Shapes:
    """Return the shapes in `eva_vit_g.pth` with fewer layers."""
    wide, mlp = TOWER_WIDTH, TOWER_MLP
    shapes: dict[str, tuple[int, ...]] = {"cls_token": (1, 1, wide), "pos_embed": (1, 257, wide)}
    shapes |= {"patch_embed.proj.weight": (wide, 3, 14, 14), "patch_embed.proj.bias": (wide,)}
    block = {"attn.qkv.weight": (3 * wide, wide), "attn.proj.weight": (wide, wide), "attn.proj.bias": (wide,)}
    block |= {"mlp.fc1.weight": (mlp, wide), "mlp.fc1.bias": (mlp,)}
    block |= {"mlp.fc2.weight": (wide, mlp), "mlp.fc2.bias": (wide,)}
    vectors = ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.q_bias", "attn.v_bias")
    block |= dict.fromkeys(vectors, (wide,))
    return shapes | {f"blocks.{index}.{name}": it for index in range(layers) for name, it in block.items()}


def checkpoint_shapes(layers: int) -> Shapes:
    """Return the shapes in a checkpoint: LoRA on queries and values, and the linear layer."""
    shapes: dict[str, tuple[int, ...]] = {
        "llama_proj.weight": (WIDTH, 4 * TOWER_WIDTH),
        "llama_proj.bias": (WIDTH,),
    }
    for index in range(layers):
        for name in ("q_proj", "v_proj"):
            layer = f"llama_model.base_model.model.model.layers.{index}.self_attn.{name}"
            shapes |= {f"{layer}.lora_A.weight": (RANK, WIDTH), f"{layer}.lora_B.weight": (WIDTH, RANK)}
    return shapes


def write_files(folder: Path, llama_layers: int, tower_layers: int) -> int:
    """Write the three downloads; return their size in bytes."""
    write_llama(folder / NAMES[0], llama_layers)
    torch.save(random_weights(tower_shapes(tower_layers), torch.float16), folder / NAMES[1])
    state = random_weights(checkpoint_shapes(llama_layers), torch.float32)
    settings = {"lora_r": RANK, "lora_alpha": 16, "image_size": IMAGE_SIZE}
    torch.save({"model": state, "config": {"model": settings}}, folder / NAMES[2])
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def convert(folder: Path) -> dict[str, float]:
    """Run the command in a process of its own; return its seconds and its largest memory, in bytes."""
    command = [sys.executable, "-c", _COMMAND, "models", "convert", *NAMES]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=folder) as process:
        peaks = {"peak_rss_bytes": 0, "peak_own_bytes": 0}
        watcher = threading.Thread(target=_watch, args=(process, peaks))
        watcher.start()
        code = process.wait()
        watcher.join()
    if code:
        raise SystemExit(f"the conversion failed with exit code {code}")
    return {"seconds": round(time.perf_counter() - start, 1), **peaks}


def _watch(process: subprocess.Popen[bytes], peaks: dict[str, int]) -> None:
    import psutil

    while process.poll() is None:
        try:
            held = psutil.Process(process.pid).memory_info()
        except psutil.Error:
            return
        peaks["peak_rss_bytes"] = max(peaks["peak_rss_bytes"], held.rss)
        peaks["peak_own_bytes"] = max(peaks["peak_own_bytes"], held.rss - getattr(held, "shared", 0))
        time.sleep(0.05)


def main() -> None:
    """Print the figures as JSON, and write them if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--llama-layers", type=int, default=4)
    parser.add_argument("--tower-layers", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="where there is room for the files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        size = write_files(folder, options.llama_layers, options.tower_layers)
        figures = {
            "llama_layers": options.llama_layers,
            "tower_layers": options.tower_layers,
            "source_bytes": size,
            **convert(folder),
            "shard_bytes": SHARD,
        }
    publish(figures, options.out)


if __name__ == "__main__":
    main()
