"""Untrusted folders: every broken or hostile setting is one line that names file and key."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from assistant.vlm.answers import Request
from assistant.vlm.architecture import processing
from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, load_adapter, save_adapter
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.errors import WeightsError
from assistant.vlm.folders.reading import read_adapter, read_model_folder
from assistant.vlm.tasks import Task

from .tiny import TOWERS, tiny_model, tiny_processor

CONFIG, PROCESSOR, TOKENIZER = "config.json", "processor_config.json", "tokenizer_config.json"
GENERATION, ADAPTER, CALIBRATION = "generation_config.json", "adapter_config.json", "calibration.json"
RUNS_CODE = {"AutoModel": "payload.Model", "AutoTokenizer": ["payload.Tokenizer", None]}
DEEP = json.loads("[" * 150 + "]" * 150)

# File, key, and an invalid value.
HOSTILE: list[tuple[str, str, Any]] = [
    (CONFIG, "auto_map", RUNS_CODE),
    (CONFIG, "model_type", "clip"),
    (CONFIG, "model_type", ["minigpt_v2"]),
    (CONFIG, "transformers_weights", "pytorch_model.bin"),
    (CONFIG, "quantization_config", {"quant_method": "awq"}),
    (CONFIG, "_attn_implementation", "somebody/kernel"),
    (CONFIG, "image_size", 10**6),
    (CONFIG, "image_size", "56"),
    (CONFIG, "image_size", True),
    (CONFIG, "patches_per_token", 0),
    (CONFIG, "image_token_id", -1),
    (CONFIG, "architectures", {"a": 1}),
    (CONFIG, "vision_config", None),
    (CONFIG, "vision_config", "dinov2"),
    (CONFIG, "vision_config.model_type", "clip_vision_model"),
    (CONFIG, "vision_config.hidden_act", "nothing"),
    (CONFIG, "vision_config.patch_size", 0),
    (CONFIG, "vision_config.hidden_size", 2**40),
    (CONFIG, "vision_config.auto_map", RUNS_CODE),
    (CONFIG, "text_config", []),
    (CONFIG, "text_config.model_type", "gpt2"),
    (CONFIG, "text_config.vocab_size", "many"),
    (CONFIG, "text_config.vocab_size", 320.5),
    (CONFIG, "text_config.vocab_size", 2**40),
    (CONFIG, "text_config.vocab_size", [320]),
    (CONFIG, "text_config.num_hidden_layers", 10**9),
    (CONFIG, "text_config.num_hidden_layers", 0),
    (CONFIG, "text_config.num_key_value_heads", 3),
    (CONFIG, "text_config.rms_norm_eps", float("nan")),
    (CONFIG, "text_config.rope_parameters", "default"),
    (CONFIG, "text_config.rope_parameters.rope_type", "yarn"),
    (CONFIG, "text_config.eos_token_id", {"a": DEEP}),
    (CONFIG, "text_config._attn_implementation", "somebody/kernel"),
    (CONFIG, "classifier_config.stages", [[3, 1, 1, 4, 10**9]]),
    (CONFIG, "classifier_config.outputs", [99]),
    (CONFIG, "classifier_config.image_std", [1, 1, 0]),
    (PROCESSOR, "auto_map", RUNS_CODE),
    (PROCESSOR, "processor_class", "payload.Processor"),
    (PROCESSOR, "image_tokens", 10**9),
    (PROCESSOR, "image_tokens", 5),
    (PROCESSOR, "image_token_id", "320"),
    (PROCESSOR, "image_token_id", 7),
    (PROCESSOR, "image_processor", []),
    (PROCESSOR, "image_processor.auto_map", RUNS_CODE),
    (PROCESSOR, "image_processor.image_processor_type", "CLIPImageProcessor"),
    (PROCESSOR, "image_processor.image_std", [0, 0, 0]),
    (PROCESSOR, "image_processor.image_mean", "grey"),
    (PROCESSOR, "image_processor.size", {"height": 56, "width": 10**6}),
    (PROCESSOR, "image_processor.size", {"height": 28, "width": 28}),
    (PROCESSOR, "image_processor.resample", 99),
    (PROCESSOR, "prompt_form", "ours"),
    (PROCESSOR, "prompt_form", {"name": "theirs"}),
    (PROCESSOR, "prompt_form.asking.begins", 10**9),
    (PROCESSOR, "prompt_form.asking.spaces", 10**9),
    (PROCESSOR, "prompt_form.max_new_tokens.caption", 10**9),
    (PROCESSOR, "prompt_form.wordings.vqa", "{argument:>1000000000}"),
    (PROCESSOR, "prompt_form.wordings.vqa", "{argument.__class__}"),
    (TOKENIZER, "auto_map", RUNS_CODE),
    (TOKENIZER, "tokenizer_class", "PayloadTokenizer"),
    (TOKENIZER, "tokenizer_class", {"a": "b"}),
    (TOKENIZER, "bos_token", None),
    (TOKENIZER, "bos_token", ""),
    (TOKENIZER, "eos_token", 5),
    (TOKENIZER, "pad_token", ["<pad>"]),
    (TOKENIZER, "added_tokens_decoder", {"7": {"content": "x"}}),
    (GENERATION, "eos_token_id", "1"),
    (GENERATION, "bos_token_id", [DEEP]),
    (GENERATION, "custom_generate", "somebody/code"),
    (ADAPTER, "auto_map", RUNS_CODE),
    (ADAPTER, "peft_type", "IA3"),
    (ADAPTER, "peft_type", "NOTHING"),
    (ADAPTER, "peft_type", ["LORA"]),
    (ADAPTER, "base_model_name_or_path", ["nano"]),
    (ADAPTER, "base_model_name_or_path", {"name": "nano"}),
    (ADAPTER, "base_model_name_or_path", None),
    (ADAPTER, "r", 0),
    (ADAPTER, "r", -4),
    (ADAPTER, "r", "16"),
    (ADAPTER, "r", 10**9),
    (ADAPTER, "r", [2]),
    (ADAPTER, "lora_alpha", "32"),
    (ADAPTER, "lora_alpha", 0),
    (ADAPTER, "lora_dropout", 1.0),
    (ADAPTER, "lora_dropout", "none"),
    (ADAPTER, "target_modules", "(unclosed"),
    (ADAPTER, "target_modules", "(a+)+$"),
    (ADAPTER, "target_modules", None),
    (ADAPTER, "target_modules", ["lm_head"]),
    (ADAPTER, "target_modules", {"q_proj": 1}),
    (ADAPTER, "modules_to_save", ["language_model"]),
    (ADAPTER, "modules_to_save", "vision_projection"),
    (ADAPTER, "bias", "all"),
    (ADAPTER, "init_lora_weights", "loftq"),
    (ADAPTER, "init_lora_weights", {"a": 1}),
    (ADAPTER, "megatron_core", "os"),
    (ADAPTER, "megatron_config", {"a": 1}),
    (ADAPTER, "layers_to_transform", [0, 1]),
    (ADAPTER, "layers_pattern", "layers"),
    (ADAPTER, "rank_pattern", {".*": 10**9}),
    (ADAPTER, "alpha_pattern", {".*": 4}),
    (ADAPTER, "alora_invocation_tokens", [1, 2]),
    (ADAPTER, "use_dora", True),
    (ADAPTER, "use_rslora", True),
    (ADAPTER, "fan_in_fan_out", True),
    (ADAPTER, "trainable_token_indices", [1]),
    (ADAPTER, "runtime_config", DEEP),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and a subfolder with its adapter."""
    folder = tmp_path_factory.mktemp("saved")
    model = tiny_model("dinov2 and classifier")
    model.save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    save_adapter(add_adapter(model, AdapterConfig(rank=2)), folder / "adapter", str(folder))
    (folder / "adapter" / "base.json").unlink()  # what is damaged would be taken for another model
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the model to damage."""
    shutil.copytree(saved, tmp_path / "model")
    change(tmp_path / "model" / "adapter" / ADAPTER, "base_model_name_or_path", str(tmp_path / "model"))
    return tmp_path / "model"


def change(path: Path, key: str, value: Any) -> None:
    """Set a key of a file, written `outer.inner`."""
    values = json.loads(path.read_text())
    *outer, last = key.split(".")
    part = values
    for name in outer:
        part = part[name]
    part[last] = value
    path.write_text(json.dumps(values))


def read(folder: Path) -> None:
    read_model_folder(folder)
    read_adapter(folder / "adapter")


def place_of(file: str) -> str:
    return f"adapter/{file}" if file in (ADAPTER, CALIBRATION) else file


@pytest.mark.parametrize(("file", "key", "value"), HOSTILE, ids=lambda it: str(it)[:40])
def test_a_hostile_value_is_one_line_with_file_and_key(
    folder: Path, file: str, key: str, value: object
) -> None:
    path = folder / place_of(file)
    read(folder)
    change(path, key, value)
    with pytest.raises(WeightsError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert key.rpartition(".")[2] in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400


@pytest.mark.parametrize("file", [CONFIG, PROCESSOR, TOKENIZER, GENERATION, ADAPTER])
@pytest.mark.parametrize(
    "content",
    [b"", b"no JSON", b"[]", b"3", b"null", b'{"a": ', b"\xff\xfe{}", b"[" * 10**5, b'{"\x1b[2J": 1}', b"{}"],
    ids=lambda it: str(it[:10]),
)
def test_an_invalid_file_is_one_line(folder: Path, file: str, content: bytes) -> None:
    if (file, content) == (GENERATION, b"{}"):
        pytest.skip("all of its values may be left out")
    path = folder / place_of(file)
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read(folder)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("file", [CONFIG, PROCESSOR, TOKENIZER, ADAPTER])
def test_a_file_that_is_not_there_is_one_line(folder: Path, file: str) -> None:
    path = folder / place_of(file)
    path.unlink()
    with pytest.raises(WeightsError, match=f"there is no file .*{file}"):
        read(folder)
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)  # would wait for ever
        with pytest.raises(WeightsError, match=f"there is no file .*{file}"):
            read(folder)


def test_an_endless_file_is_not_read(folder: Path) -> None:
    with (folder / CONFIG).open("ab") as file:
        file.truncate(10**12)
    with pytest.raises(WeightsError, match="too large for such a file"):
        read(folder)


def test_an_unset_setting_may_have_any_name(folder: Path) -> None:
    for name in (CONFIG, PROCESSOR, TOKENIZER, GENERATION, f"adapter/{ADAPTER}"):
        for key, value in (("of_a_later_release", None), ("switch", False), ("pattern", {}), ("list", [])):
            change(folder / name, key, value)
    assert LocalEngine.load(str(folder / "adapter")).model.config.image_tokens == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "adapter/adapter_model.safetensors"])
def test_a_pipe_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(WeightsError, match="there is no"):
        LocalEngine.load(str(folder / "adapter"))


@pytest.mark.parametrize("tower", TOWERS)
def test_what_is_loaded_is_what_was_saved(tower: str, tmp_path: Path) -> None:
    model = tiny_model(tower)
    model.save_pretrained(tmp_path)
    tiny_processor().save_pretrained(tmp_path)
    engine = LocalEngine.load(str(tmp_path))
    loaded = engine.model.state_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded[name].float(), tensor, rtol=1e-2, atol=1e-2)
    wanted = {"architectures", "_name_or_path", "dtype"}
    mine, its = model.config.text_config.to_dict(), engine.model.config.text_config.to_dict()
    assert {k: v for k, v in its.items() if k not in wanted} == {
        k: v for k, v in mine.items() if k not in wanted
    }
    assert engine.processor.to_dict() == tiny_processor().to_dict()
    assert engine.model.generation_config.eos_token_id == 1


def test_layers_may_be_named_one_by_one(folder: Path) -> None:
    names = ["v_proj", "o_proj", "q_proj", "k_proj", "up_proj", "gate_proj", "down_proj"]
    before = read_adapter(folder / "adapter")
    change(folder / "adapter" / ADAPTER, "target_modules", names)
    assert read_adapter(folder / "adapter") == before


@pytest.mark.parametrize("place", ["", "adapter"])
def test_code_in_a_folder_is_not_run_and_does_not_prompt(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every code file that transformers and PEFT look for would leave a trace if it ran."""
    trace = folder / "trace"
    payload = f"open({str(trace)!r}, 'w')\nclass Tokenizer: pass\n"
    for name in ("payload.py", "modeling.py", "custom_generate/generate.py"):
        for at in (folder, folder / "adapter"):
            (at / name).parent.mkdir(exist_ok=True)
            (at / name).write_text(payload)
    (folder / "custom_generate" / "requirements.txt").write_text("somebodys-package")
    for name in ("preprocessor_config.json", "special_tokens_map.json", "chat_template.json"):
        (folder / name).write_text(json.dumps({"auto_map": RUNS_CODE}))
    for name in ("pytorch_model.bin", "adapter_model.bin"):
        (folder / name).write_bytes(b"\x80\x04no tensors")
    monkeypatch.setattr("builtins.input", lambda _="": pytest.fail("asked"))
    LocalEngine.load(str(folder / place))
    assert not trace.exists()


def with_weights(change_them: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        state = load_file(path)
        change_them(state)
        save_file(state, path, metadata={"format": "pt"})

    return apply


def of_kind(kind: torch.dtype) -> Callable[[Path], None]:
    return with_weights(lambda state: state.update({name: it.to(kind) for name, it in state.items()}))


def first(state: dict[str, torch.Tensor]) -> str:
    return min(state)


BROKEN_WEIGHTS: list[tuple[Callable[[Path], object], str]] = [
    (of_kind(torch.int8), "holds I8, weights are floats"),
    (of_kind(torch.bool), "holds BOOL, weights are floats"),
    (of_kind(torch.complex64), "weights are floats"),
    (with_weights(lambda state: state.pop(first(state))), "missing|more weights than there are"),
    (with_weights(lambda state: state.update(stranger=torch.ones(1))), "unexpected.*stranger"),
    (lambda path: path.write_bytes(b"no safetensors"), "cannot be read"),
    (lambda path: path.write_bytes(b"\xff" * 64), "cannot be read"),
    (lambda path: path.write_bytes(b""), "cannot be read"),
    (lambda path: os.truncate(path, path.stat().st_size - 1), "cannot be read"),
    (lambda path: path.rename(path.with_name("pytorch_model.bin")), "safetensors"),
]


@pytest.mark.parametrize("name", ["model.safetensors", "adapter/adapter_model.safetensors"])
@pytest.mark.parametrize(("damage", "message"), BROKEN_WEIGHTS)
def test_weights_of_the_wrong_kind_are_one_line(
    folder: Path, name: str, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder / name)
    with pytest.raises(WeightsError, match=message) as caught:
        LocalEngine.load(str(folder / "adapter"))
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text_config.vocab_size", 2**20),
        ("text_config.intermediate_size", 2**17),
        ("text_config.num_hidden_layers", 1000),
        ("text_config.hidden_size", 64),
        ("vision_config.num_hidden_layers", 1000),
        ("vision_config.image_size", 2044),
        ("classifier_config.stem_channels", 2**16),
    ],
)
def test_settings_for_more_than_the_weights_take_no_memory(folder: Path, key: str, value: int) -> None:
    change(folder / CONFIG, key, value)
    if key == "text_config.vocab_size":
        change(folder / CONFIG, "image_token_id", 320)
    with pytest.raises(WeightsError, match=r"config\.json: "):
        LocalEngine.load(str(folder))


def test_a_rank_that_the_weights_have_not_takes_no_memory(folder: Path) -> None:
    change(folder / "adapter" / ADAPTER, "r", 1024)
    with pytest.raises(WeightsError, match=r"adapter_config\.json: r is 1024, but .*lora_A.* is \(2, \d+\)"):
        load_adapter(tiny_model("dinov2 and classifier"), folder / "adapter")


def test_weights_that_are_no_numbers_are_refused(folder: Path) -> None:
    path = folder / "adapter" / "adapter_model.safetensors"
    with_weights(lambda state: state[first(state)].fill_(float("nan")))(path)
    with pytest.raises(WeightsError, match="is not finite"):
        LocalEngine.load(str(folder / "adapter"))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[" * 10**5, b"\xff", b'{"model": {"type": "BPE", "vocab": 3}}', b'{"version": "1.0"}'],
)
def test_a_tokenizer_that_is_none_is_one_line(folder: Path, content: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"tokenizer\.json") as caught:
        LocalEngine.load(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.continuing_subword_prefix", "#" * 9),
        ("model.type", "Unigram"),
        ("model.vocab", []),
        ("model", None),
    ],
)
def test_a_tokenizer_that_its_reader_cannot_take_is_one_line_and_nothing_else(
    folder: Path, key: str, value: object, capfd: pytest.CaptureFixture[str]
) -> None:
    change(folder / "tokenizer.json", key, value)
    with pytest.raises(WeightsError, match=r"tokenizer\.json") as caught:
        LocalEngine.load(str(folder))
    assert str(caught.value).isprintable()
    assert capfd.readouterr() == ("", "")


def test_a_reader_that_panics_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {})  # as of a library in Rust

    def panics(**_: object) -> None:
        raise panic("out of range")

    monkeypatch.setattr(processing, "PreTrainedTokenizerFast", panics)
    with pytest.raises(WeightsError, match=r"tokenizer\.json cannot be read: out of range"):
        LocalEngine.load(str(folder))


def test_a_pattern_that_makes_the_tokenizer_panic_is_one_line(folder: Path) -> None:
    pattern = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}
    change(folder / "tokenizer.json", "pre_tokenizer", pattern)
    engine = LocalEngine.load(str(folder))
    with pytest.raises(
        WeightsError, match=r"tokenizer\.json cannot encode this text: .*retry-limit"
    ) as caught:
        engine.generate([Request(Task.VQA, "x" * 60)])
    assert str(caught.value).isprintable()


def test_a_token_that_the_model_has_not_is_refused(folder: Path) -> None:
    change(folder / TOKENIZER, "eos_token", "<a token that is in no vocabulary>")
    with pytest.raises(WeightsError, match=r"tokenizer\.json has 321 tokens, the model 320"):
        LocalEngine.load(str(folder))


@pytest.mark.parametrize(
    "base", ["somebody/else", "x\0y", "z" * 4000, "\x1b[2J", ".", "https://example.org/a"]
)
def test_a_base_that_is_no_models_folder_is_one_line(folder: Path, base: str) -> None:
    change(folder / "adapter" / ADAPTER, "base_model_name_or_path", base)
    with pytest.raises(WeightsError, match="base_model_name_or_path: ") as caught:
        LocalEngine.load(str(folder / "adapter"))
    assert str(caught.value).isprintable()


def test_a_base_is_refused_where_no_adapter_needs_one(folder: Path) -> None:
    with pytest.raises(WeightsError, match="not an adapter's folder: leave --base out"):
        LocalEngine.load(str(folder), folder)
    with pytest.raises(WeightsError, match="nano is not an adapter's folder: leave --base out"):
        LocalEngine.load("nano", folder)
