"""Read a LLaMA-2 directory in the format of transformers: settings, tokenizer, weights file by file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, PreTrainedTokenizerFast

from ..errors import WeightsError, one_line
from ..folders.reading import validate
from ..folders.settings import LlamaSettings
from ..folders.tensor_files import TensorFile

# Old releases of transformers saved these buffers, which hold nothing learnt.
_BUFFER = re.compile(r".*\.rotary_emb\.inv_freq")
# What describes the folder that the settings came from, not the model.
_ORIGIN = ("_name_or_path", "architectures", "torch_dtype", "dtype", "transformers_version")


@dataclass(frozen=True)
class LlamaFolder:
    """A LLaMA's settings and tokenizer, and its weight files, which are read one at a time."""

    path: Path
    config: LlamaConfig
    tokenizer: PreTrainedTokenizerFast
    files: tuple[Path, ...]

    @classmethod
    def open(cls, path: Path) -> LlamaFolder:
        """Read settings and tokenizer.

        Raises:
            WeightsError: the folder or a file in it is missing or invalid.
        """
        if not path.is_dir():
            raise WeightsError(f"there is no LLaMA-2 directory {path}")
        config = _read_config(path / "config.json")
        return cls(path, config, _read_tokenizer(path / "tokenizer.json", config.vocab_size), _files(path))

    def require(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
        """Check that the weights have exactly the names and shapes of `wanted`.

        Raises:
            WeightsError: they do not; the message names file and key.
        """
        found: dict[str, Path] = {}
        for path in self.files:
            file = TensorFile(path)
            for name in self._weights(file):
                if name not in wanted:
                    raise WeightsError(f"{path}: {one_line(name)} has no place in this LLaMA")
                if file.shape(name) != wanted[name]:
                    raise WeightsError(
                        f"{path}: {name} is {file.shape(name)}, by config.json it must be {wanted[name]}"
                    )
                if name in found:
                    raise WeightsError(f"{path}: {name} is in {found[name].name} as well: remove one file")
                found[name] = path
        if missing := sorted(wanted.keys() - found.keys()):
            raise WeightsError(
                f"{self.path} lacks {len(missing)} weights, {missing[0]} for one: copy it again"
            )

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield each weight by its name; one file is open at a time."""
        for path in self.files:
            file = TensorFile(path)
            for name in self._weights(file):
                yield name, file[name]

    def _weights(self, file: TensorFile) -> list[str]:
        tied = "lm_head.weight" if self.config.tie_word_embeddings else ""
        return [name for name in file if name != tied and not _BUFFER.fullmatch(name)]


def _read_config(path: Path) -> LlamaConfig:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        kind = values.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise WeightsError(f"{path} cannot be read: {reason}") from error
    if kind != "llama":
        raise WeightsError(
            f"{path}: model_type is {one_line(kind)}: take a LLaMA-2 in the form of transformers"
        )
    try:
        config = LlamaConfig(**{name: value for name, value in values.items() if name not in _ORIGIN})
    except Exception as error:  # of many kinds, by the value that is wrong
        raise WeightsError(f"{path}: {one_line(error)}") from error
    validate(path, config.to_json_string(use_diff=False), LlamaSettings)
    return config


def _read_tokenizer(path: Path, vocabulary: int) -> PreTrainedTokenizerFast:
    """Read the tokenizer from its file alone: the directory's settings would change its tokens."""
    if not path.is_file():
        raise WeightsError(f"there is no {path}: take the LLaMA-2 directory in the form of transformers")
    try:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path))
    except Exception as error:  # the reader raises plain ones
        raise WeightsError(f"{path} cannot be read: {one_line(error)}; copy it again") from error
    known = tokenizer.get_vocab()
    if missing := [token for token in ("<s>", "</s>") if token not in known]:
        raise WeightsError(f"{path} has no {missing[0]}: it is not LLaMA-2's tokenizer")
    if len(known) > vocabulary:
        raise WeightsError(f"{path} has {len(known)} tokens, config.json says {vocabulary}")
    roles = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    roles |= {"unk_token": "<unk>"} if "<unk>" in known else {}
    return PreTrainedTokenizerFast(tokenizer_file=str(path), **roles)


def _files(folder: Path) -> tuple[Path, ...]:
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if files := tuple(sorted(folder.glob(pattern))):
            return files
    raise WeightsError(f"{folder} has no weights: neither model*.safetensors nor pytorch_model*.bin")
