"""Files in the released layout with small random weights convert to the reference's model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from assistant.vlm.answers import Request
from assistant.vlm.architecture.adapter import AdapterConfig, load_adapter, save_adapter
from assistant.vlm.engine.local import LocalEngine, load_model
from assistant.vlm.errors import WeightsError
from assistant.vlm.folders import writing
from assistant.vlm.folders.base_note import BASE
from assistant.vlm.folders.tensor_files import sha256_of
from assistant.vlm.folders.writing import PROVENANCE, WrittenFolder
from assistant.vlm.models.bases import find_base
from assistant.vlm.prompt_form import OURS
from assistant.vlm.released.checkpoint import LORA_ALPHA
from assistant.vlm.released.conversion import convert_released
from assistant.vlm.released.eva import State
from assistant.vlm.released.exporting import export_checkpoint
from assistant.vlm.released.prompt_form import RELEASED
from assistant.vlm.tasks import Task

from .released_files import (
    EVA_VIT,
    HEADS,
    LAYERS,
    PARITY,
    RANK,
    SETTINGS,
    SIDE,
    WIDTH,
    checkpoint_state,
    lora_state,
    read_torch,
    write_checkpoint,
    write_llama,
)
from .tiny import picture, tiny_tokenizer


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write_llama(tmp_path / "llama")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint.pth", checkpoint_state())


def convert(llama: Path, checkpoint: Path | None, folder: Path, **options: Any) -> Path:
    convert_released(llama, EVA_VIT, checkpoint, folder, heads=HEADS, **options)
    return folder


@pytest.fixture
def folder(llama: Path, checkpoint: Path, tmp_path: Path) -> Path:
    """The model of both, converted."""
    return convert(llama, checkpoint, tmp_path / "ours")


def weights(folder: Path) -> State:
    return {
        name: it
        for path in sorted(folder.glob("model*"))
        if path.suffix == ".safetensors"
        for name, it in load_file(path).items()
    }


class TestTheFolder:
    def test_it_is_a_model_that_answers_in_the_released_form(self, folder: Path) -> None:
        engine = LocalEngine.load(str(folder))
        assert engine.model.config.image_tokens == engine.processor.image_tokens == 4
        assert engine.processor.prompt_form == RELEASED != OURS
        (answer,) = engine.generate([Request(Task.VQA, "what?", image=picture(0))])
        assert answer.raw

    def test_each_weight_keeps_the_precision_and_the_value_of_its_file(
        self, folder: Path, llama: Path
    ) -> None:
        ours = weights(folder)
        theirs = weights(llama)
        assert {it.dtype for it in theirs.values()} == {torch.float16}
        for name, tensor in theirs.items():
            assert torch.equal(ours[f"language_model.{name}"], tensor)
            assert ours[f"language_model.{name}"].dtype == torch.float16
        tower = read_torch(EVA_VIT)
        fc1 = ours["vision_tower.encoder.layers.1.mlp.fc1.weight"]
        assert torch.equal(fc1, tower["blocks.1.mlp.fc1.weight"])
        projection = ours["vision_projection.weight"]
        assert torch.equal(projection, read_torch(PARITY / "llama_proj.pth")["llama_proj.weight"])
        assert projection.dtype == ours["vision_tower.post_layernorm.weight"].dtype == torch.float32

    @pytest.mark.parametrize("spelling", ["", ".default"])
    def test_lora_is_separate_in_float32_with_the_alpha_of_the_checkpoint(
        self, llama: Path, tmp_path: Path, spelling: str
    ) -> None:
        path = write_checkpoint(tmp_path / "c.pth", checkpoint_state(spelling))
        folder = convert(llama, path, tmp_path / "ours")
        settings = json.loads((folder / "adapter" / "adapter_config.json").read_text())
        assert (settings["r"], settings["lora_alpha"]) == (RANK, 8)
        found = load_file(folder / "adapter" / "adapter_model.safetensors")
        name = "model.layers.1.self_attn.v_proj.lora_B"
        wanted = lora_state()[f"llama_model.base_model.model.{name}.weight"]
        assert torch.equal(found[f"base_model.model.language_model.{name}.weight"], wanted)

    @pytest.mark.parametrize("merge", [False, True])
    def test_the_loaded_model_applies_scaled_lora_to_queries_and_values(
        self, llama: Path, checkpoint: Path, tmp_path: Path, *, merge: bool
    ) -> None:
        folder = convert(llama, checkpoint, tmp_path / "ours", merge=merge)
        assert (folder / "adapter").exists() is not merge
        ours = LocalEngine.load(str(folder), dtype=torch.float32).model
        before, state = LlamaForCausalLM.from_pretrained(llama, dtype=torch.float32), lora_state()
        tolerance = 2e-2 if merge else 1e-5  # merged weights are rounded to float16
        for index in range(LAYERS):
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                layer = f"model.layers.{index}.self_attn.{name}"
                wanted = before.get_submodule(layer).weight
                if name in ("q_proj", "v_proj"):
                    half = f"llama_model.base_model.model.{layer}.lora"
                    wanted = wanted + 8 / RANK * state[f"{half}_B.weight"] @ state[f"{half}_A.weight"]
                found = ours.language_model.get_submodule(layer).weight
                torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)

    def test_a_checkpoint_without_settings_has_the_papers(self, llama: Path, tmp_path: Path) -> None:
        torch.save(checkpoint_state(), tmp_path / "c.pth")
        folder = convert(llama, tmp_path / "c.pth", tmp_path / "ours", image_size=SIDE)
        assert (
            json.loads((folder / "adapter" / "adapter_config.json").read_text())["lora_alpha"] == LORA_ALPHA
        )

    def test_without_a_checkpoint_the_linear_layer_is_fresh(self, llama: Path, tmp_path: Path) -> None:
        folder = convert(llama, None, tmp_path / "ours", image_size=SIDE)
        assert not (folder / "adapter").exists()
        projection = weights(folder)["vision_projection.weight"]
        assert projection.shape == (WIDTH, 128)
        assert projection.std() > 0

    def test_the_tower_has_as_many_layers_as_are_used(
        self, folder: Path, llama: Path, checkpoint: Path, tmp_path: Path
    ) -> None:
        """In the released file one lies behind the last that is used, with a norm and a head."""
        state = read_torch(EVA_VIT)
        behind = {name.replace("blocks.1.", "blocks.2."): it for name, it in state.items() if "s.1." in name}
        more = behind | {"norm.weight": torch.ones(32), "head.weight": torch.ones(3, 32)}
        torch.save(state | more, tmp_path / "more.pth")
        whole = tmp_path / "whole"
        convert_released(llama, tmp_path / "more.pth", checkpoint, whole, heads=HEADS, layers=2)
        held = {path.name: path.read_bytes() for path in folder.glob("model*")}
        assert {path.name: path.read_bytes() for path in whole.glob("model*")} == held
        with pytest.raises(WeightsError, match=r"more\.pth has 3 layers, not 4"):
            convert_released(llama, tmp_path / "more.pth", checkpoint, tmp_path / "n", heads=HEADS, layers=4)

    def test_positions_are_stretched_to_the_image_size_of_the_settings(
        self, llama: Path, tmp_path: Path
    ) -> None:
        path = write_checkpoint(tmp_path / "c.pth", checkpoint_state(), SETTINGS | {"image_size": 112})
        folder = convert(llama, path, tmp_path / "ours")
        assert LocalEngine.load(str(folder)).model.config.image_tokens == 16

    def test_weights_in_pytorchs_own_files_are_read_too(
        self, llama: Path, checkpoint: Path, tmp_path: Path
    ) -> None:
        state = load_file(llama / "model.safetensors")
        before = weights(convert(llama, checkpoint, tmp_path / "one"))
        (llama / "model.safetensors").unlink()
        names = sorted(state)
        buffers = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}
        torch.save({name: state[name] for name in names[:9]} | buffers, llama / "pytorch_model-00001.bin")
        torch.save({name: state[name] for name in names[9:]}, llama / "pytorch_model-00002.bin")
        after = weights(convert(llama, checkpoint, tmp_path / "two"))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)

    def test_each_text_of_a_prompt_is_spelt_as_the_tokenizers_file_has_it(self, folder: Path) -> None:
        tokenizer = LocalEngine.load(str(folder)).processor.tokenizer
        text = "</Img> [vqa] what is this?"
        own = tiny_tokenizer().encode(text, add_special_tokens=False)
        assert tokenizer.encode(text, add_special_tokens=False) == own
        assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")


class TestProvenance:
    def test_it_has_the_hashes_of_what_was_read_and_written(
        self, folder: Path, llama: Path, checkpoint: Path
    ) -> None:
        held = json.loads((folder / PROVENANCE).read_text())
        assert held["sources"] == {
            path.name: sha256_of(path) for path in (EVA_VIT, checkpoint, llama / "model.safetensors")
        }
        assert held["files"] == {
            str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*.safetensors")
        }
        assert held["lora"] == {"rank": RANK, "alpha": 8, "merged": False}
        assert held["prompt_form"] == RELEASED.name

    def test_no_file_contains_a_local_path(self, folder: Path, tmp_path: Path) -> None:
        for path in folder.rglob("*.json"):
            assert str(tmp_path) not in path.read_text(encoding="utf-8"), path

    def test_an_adapter_finds_its_base_in_the_given_folder(
        self, folder: Path, llama: Path, tmp_path: Path
    ) -> None:
        adapter = tmp_path / "adapter"
        shutil.copytree(folder / "adapter", adapter)
        moved = folder.rename(tmp_path / "moved")
        assert json.loads((adapter / BASE).read_text())["name"] == "ours"
        with pytest.raises(WeightsError, match=r"for 'ours', which is .*--base"):
            find_base(adapter)
        assert find_base(adapter, moved) == moved
        assert LocalEngine.load(str(adapter), moved).generate([Request(None, "hello")])
        other = convert(llama, None, tmp_path / "other", image_size=SIDE)
        with pytest.raises(WeightsError, match="is not the model 'ours' that"):
            find_base(adapter, other)

    def test_training_continues_from_the_released_lora_and_names_the_base(
        self, folder: Path, tmp_path: Path
    ) -> None:
        shape = AdapterConfig(rank=RANK, alpha=8, dropout=0.05, all_linear=False)
        adapted = load_adapter(load_model(folder), folder / "adapter", trainable=True, shape=shape)
        save_adapter(adapted, tmp_path / "run" / "adapter", str(folder))
        assert find_base(tmp_path / "run" / "adapter") == folder


class TestExport:
    def test_an_exported_checkpoint_equals_the_original(self, llama: Path, tmp_path: Path) -> None:
        more = {"ln_vision.weight": torch.full((32,), 2.0), "ln_vision.bias": torch.full((32,), 0.5)}
        path = write_checkpoint(tmp_path / "c.pth", checkpoint_state() | more)
        export_checkpoint(convert(llama, path, tmp_path / "ours"), tmp_path / "out.pth")
        held = torch.load(tmp_path / "out.pth", weights_only=True)
        wanted = {name: it for name, it in (checkpoint_state() | more).items() if "inv_freq" not in name}
        assert held["model"].keys() == wanted.keys()
        assert all(torch.equal(held["model"][name], it) for name, it in wanted.items())
        assert held["config"] == {"model": SETTINGS}

    def test_a_layer_norm_that_does_nothing_is_left_out_as_the_reference_does(
        self, folder: Path, tmp_path: Path
    ) -> None:
        export_checkpoint(folder, tmp_path / "out.pth")
        assert "ln_vision.weight" not in torch.load(tmp_path / "out.pth", weights_only=True)["model"]

    def test_what_the_reference_has_no_place_for_is_refused(
        self, llama: Path, checkpoint: Path, tmp_path: Path
    ) -> None:
        merged = convert(llama, checkpoint, tmp_path / "merged", merge=True)
        with pytest.raises(WeightsError, match="no LoRA of its own to export: it was merged"):
            export_checkpoint(merged, tmp_path / "out.pth")
        folder = convert(llama, checkpoint, tmp_path / "ours")
        with pytest.raises(WeightsError, match="already there"):
            export_checkpoint(folder, checkpoint)
        config = folder / "adapter" / "adapter_config.json"
        held = json.loads(config.read_text())
        held["target_modules"] = AdapterConfig().lora().target_modules
        config.write_text(json.dumps(held))
        with pytest.raises(WeightsError, match="on queries and values alone"):
            export_checkpoint(folder, tmp_path / "out.pth")
        assert not list(tmp_path.glob("out*"))


def edit(name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[State], State]:
    """Return a function that changes the tensors with that name ending; None removes them."""

    def changed(state: State) -> State:
        new = {key: change(it) if key.endswith(name) else it for key, it in state.items()}
        return {key: it for key, it in new.items() if it is not None}

    return changed


def spoilt(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[3] = float("nan")
    return tensor


WRONG_CHECKPOINTS: list[tuple[Callable[[State], State], str]] = [
    (edit("1.self_attn.q_proj.lora_B.weight", lambda _: None), "q_proj is only half there"),
    (edit("v_proj.lora_A.weight", lambda _: None), "v_proj is only half there"),
    (lambda state: {name: it for name, it in state.items() if "1.self_attn.v" not in name}, "missing or unk"),
    (lambda state: {name: it for name, it in state.items() if "lora" not in name}, "has no LoRA"),
    (lambda state: state | lora_state(".default"), r"twice.*lora_A\.default\.weight"),
    (edit("q_proj.lora_A.weight", lambda it: it[:0]), r"layers\.0.*lora_A.*rank 0"),
    (edit("q_proj.lora_A.weight", lambda it: it[:, :8]), r"layers\.0\.self_attn\.q_proj is \(4, 8\)"),
    (edit("lora_B.weight", spoilt), r"lora_B\.weight holds NaN"),
    (edit("llama_proj.weight", lambda it: it[:, :100]), r"llama_proj\.weight is \(64, 100\)"),
    (edit("llama_proj.weight", lambda it: it[:32]), r"llama_proj\.weight is \(32, 128\).*width of 64"),
    (edit("llama_proj.weight", lambda _: torch.zeros(())), r"llama_proj\.weight is \(\)"),
    (edit("llama_proj.weight", lambda it: it.long()), r"llama_proj\.weight holds torch\.int64"),
    (edit("llama_proj.bias", lambda _: None), r"missing \['llama_proj\.bias'\]"),
    (lambda state: state | {"q_former.weight": torch.zeros(1)}, r"q_former\.weight"),
    (edit("llama_proj.weight", lambda _: torch.zeros(64, 768)), "MiniGPT-4's first version"),
    (lambda state: state | {"Qformer.cls.bias": torch.zeros(1)}, "MiniGPT-4's first version"),
]


def refused(llama: Path, eva_vit: Path, checkpoint: Path, folder: Path, message: str) -> None:
    """Check that the conversion fails with one line and leaves nothing."""
    with pytest.raises(WeightsError, match=message) as caught:
        convert_released(llama, eva_vit, checkpoint, folder, heads=HEADS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "weights_only" not in str(caught.value)
    assert not list(folder.parent.glob(f"{folder.name}*"))


class TestRefusals:
    @pytest.mark.parametrize(("change", "message"), WRONG_CHECKPOINTS)
    def test_a_wrong_checkpoint_is_named_with_the_key(
        self, llama: Path, tmp_path: Path, change: Callable[[State], State], message: str
    ) -> None:
        path = write_checkpoint(tmp_path / "c.pth", change(checkpoint_state()))
        refused(llama, EVA_VIT, path, tmp_path / "ours", rf"c\.pth.*{message}")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"lora_r": 8}, r"lora_r is 8, the LoRA.* rank 4"),
            ({"lora_alpha": "x"}, r"lora_alpha is x"),
            ({"lora_alpha": True}, r"lora_alpha is True: it must be a count up to 65536"),
            ({"lora_alpha": 10**9}, r"lora_alpha is 1000000000: it must be a count up to 65536"),
            ({"image_size": 28672}, r"image_size is 28672: it must be a count up to 2048"),
        ],
    )
    def test_settings_that_do_not_go_with_the_weights_are_named(
        self, llama: Path, tmp_path: Path, settings: dict[str, Any], message: str
    ) -> None:
        path = write_checkpoint(tmp_path / "c.pth", checkpoint_state(), SETTINGS | settings)
        refused(llama, EVA_VIT, path, tmp_path / "ours", rf"c\.pth.*{message}")

    def test_swapped_files_are_recognised(self, llama: Path, checkpoint: Path, tmp_path: Path) -> None:
        refused(llama, EVA_VIT, EVA_VIT, tmp_path / "ours", "eva_vit_g.pth, not a checkpoint: .* swapped")
        refused(llama, checkpoint, checkpoint, tmp_path / "ours", r"not eva_vit_g\.pth: .* swapped")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (edit("blocks.1.attn.q_bias", lambda _: None), r"blocks\.1\.attn\.q_bias"),
            (edit("pos_embed", spoilt), "pos_embed holds NaN"),
            (edit("blocks.0.mlp.fc2.bias", lambda it: it[:7]), r"fc2\.bias is \(7,\)"),
            (edit("cls_token", lambda _: None), "no EVA ViT: it has no cls_token"),
            (edit("cls_token", lambda it: it[0, 0, 0]), r"cls_token is \(\): it must have 3 sides"),
            (edit("patch_embed.proj.weight", lambda it: it[..., :0]), r"proj\.weight is \(32, 3, 14, 0\)"),
            (edit("pos_embed", lambda it: it[:, :16]), r"pos_embed is \(1, 16, 32\): it must be \(1, 1 \+ p"),
            (edit("pos_embed", lambda it: it[0]), r"pos_embed is \(17, 32\)"),
            (edit("0.attn.q_bias", lambda it: it[0]), r"blocks\.0\.attn\.q_bias and v_bias are \(\) and"),
            (lambda state: state | {"blocks.x": torch.zeros(1)}, r"unknown \['blocks\.x'\]"),
        ],
    )
    def test_a_wrong_tower_is_named_with_the_key(
        self, llama: Path, checkpoint: Path, tmp_path: Path, change: Callable[[State], State], message: str
    ) -> None:
        torch.save(change(read_torch(EVA_VIT)), tmp_path / "e.pth")
        refused(llama, tmp_path / "e.pth", checkpoint, tmp_path / "ours", rf"e\.pth.*{message}")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (edit("layers.1.mlp.up_proj.weight", lambda _: None), r"llama lacks 1 weights, model\.layers\.1"),
            (edit("norm.weight", lambda it: it[:3]), r"\(3,\), by config\.json it must be \(64,\)"),
            (edit("model.norm.weight", spoilt), r"model\.norm\.weight holds NaN"),
            (lambda state: state | {"rope": torch.ones(1)}, "rope has no place in this LLaMA"),
        ],
    )
    def test_a_wrong_language_model_is_named_with_the_key(
        self, llama: Path, checkpoint: Path, tmp_path: Path, change: Callable[[State], State], message: str
    ) -> None:
        path = llama / "model.safetensors"
        save_file({name: it.clone() for name, it in change(load_file(path)).items()}, path)
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", message)

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ({"num_hidden_layers": 10**9}, r"config\.json: num_hidden_layers: Input should be less than"),
            ({"rope_scaling": {"type": "x"}}, r"config\.json: rope_parameters\.rope_type"),
            ({"hidden_act": "x"}, r"config\.json: hidden_act"),
            ({"hidden_size": "x"}, r"config\.json: .*hidden_size"),
        ],
    )
    def test_a_language_model_that_cannot_be_built_is_named_with_the_setting(
        self, llama: Path, checkpoint: Path, tmp_path: Path, setting: dict[str, Any], message: str
    ) -> None:
        path = llama / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | setting))
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", message)

    def test_a_file_that_broke_off_or_is_no_weights_is_named(
        self, llama: Path, checkpoint: Path, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.pth"
        broken.write_bytes(checkpoint.read_bytes()[:-3000])
        refused(llama, EVA_VIT, broken, tmp_path / "ours", r"broken\.pth cannot be read as a file of tensors")
        torch.save({"model": [Path("/tmp")]}, broken)
        refused(llama, EVA_VIT, broken, tmp_path / "ours", r"broken\.pth .* holds more than tensors")
        torch.save({"a": {"b": torch.ones(1)}}, broken)
        refused(llama, EVA_VIT, broken, tmp_path / "ours", r"broken\.pth is not a flat file")
        (llama / "model.safetensors").rename(tmp_path / "aside")
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", r"llama has no weights")
        (llama / "pytorch_model.bin").write_text("<html>not found</html>")
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", r"pytorch_model\.bin cannot be read")

    def test_a_tokenizer_that_is_not_llamas_is_named(
        self, llama: Path, checkpoint: Path, tmp_path: Path
    ) -> None:
        path = llama / "tokenizer.json"
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace('"</s>"', '"<end>"'), encoding="utf-8")
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", r"tokenizer\.json has no </s>")
        path.write_text(whole[:500], encoding="utf-8")
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", r"tokenizer\.json cannot be read")
        path.unlink()
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", r"there is no .*tokenizer\.json")

    def test_a_missing_file_is_named(self, llama: Path, checkpoint: Path, tmp_path: Path) -> None:
        nowhere = tmp_path / "nowhere"
        refused(nowhere, EVA_VIT, checkpoint, tmp_path / "ours", "there is no LLaMA-2 directory .*nowhere")
        refused(llama, nowhere, checkpoint, tmp_path / "ours", "there is no file .*nowhere")
        refused(llama, EVA_VIT, nowhere, tmp_path / "ours", "there is no file .*nowhere")
        (llama / "config.json").write_text('{"model_type": "mistral"}')
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", r"config\.json: model_type is mistral")
        (llama / "config.json").unlink()
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", r"config\.json cannot be read: No such file")
        with pytest.raises(WeightsError, match="already there"):
            convert(llama, checkpoint, tmp_path)

    def test_a_weight_in_two_files_is_named(self, llama: Path, checkpoint: Path, tmp_path: Path) -> None:
        shutil.copy(llama / "model.safetensors", llama / "model2.safetensors")
        message = r"model2\.safetensors: .* is in model\.safetensors as well: remove one file"
        refused(llama, EVA_VIT, checkpoint, tmp_path / "ours", message)

    def test_an_ambiguous_number_of_heads_must_be_given(
        self, llama: Path, checkpoint: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(WeightsError, match="width of 32 does not divide into 3 heads"):
            convert_released(llama, EVA_VIT, checkpoint, tmp_path / "ours", heads=3)
        with pytest.raises(WeightsError, match="images of 28672 x 28672 pixels are too large: at most 2048"):
            convert_released(llama, EVA_VIT, checkpoint, tmp_path / "ours", heads=HEADS, image_size=28672)
        with pytest.raises(WeightsError, match="width of 32 does not divide into heads of 88: name --heads"):
            convert_released(llama, EVA_VIT, checkpoint, tmp_path / "ours")


class TestWriting:
    def test_files_are_no_larger_than_wanted_and_hold_each_weight_once(self, tmp_path: Path) -> None:
        state = {f"layer.{index}": torch.full((256,), float(index)) for index in range(7)}
        with WrittenFolder(tmp_path / "ours", []) as written:
            written.add_tensors(state.items(), largest=2500)
        index = json.loads((tmp_path / "ours" / "model.safetensors.index.json").read_text())
        assert index["metadata"] == {"total_size": 7 * 1024}
        files = sorted((tmp_path / "ours").glob("*.safetensors"))
        assert len(files) == 4
        held = {name: (path.name, it) for path in files for name, it in load_file(path).items()}
        assert {name: file for name, (file, _) in held.items()} == index["weight_map"]
        assert all(torch.equal(held[name][1], it) for name, it in state.items())

    def test_no_more_than_a_part_is_held_at_a_time(self, tmp_path: Path) -> None:
        alive = most = 0

        class Counted(torch.Tensor):
            def __del__(self) -> None:
                nonlocal alive
                alive -= 1

        def tensors() -> Any:
            nonlocal alive, most
            for index in range(12):
                alive += 1
                most = max(most, alive)
                yield f"layer.{index}", torch.ones(256).as_subclass(Counted)

        with WrittenFolder(tmp_path / "ours", []) as written:
            written.add_tensors(tensors(), largest=2048)
        assert most <= 4

    @pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
    def test_an_interruption_leaves_nothing_behind(
        self,
        llama: Path,
        checkpoint: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        stop: BaseException,
    ) -> None:
        def fails(*_: object, **__: object) -> None:
            raise stop

        monkeypatch.setattr(writing, "save_file", fails)
        full = isinstance(stop, OSError)
        with pytest.raises(
            WeightsError if full else KeyboardInterrupt, match="disk is full" if full else None
        ):
            convert(llama, checkpoint, tmp_path / "ours")
        assert not list(tmp_path.glob("ours*"))

    def test_disk_space_is_checked_before_writing(
        self, llama: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(WeightsError, match=r"will take 0\.0 GB, 0\.0 GB are free: make room"):
            convert(llama, checkpoint, tmp_path / "ours")
        assert not list(tmp_path.glob("ours*"))

    def test_an_export_needs_room_too(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(WeightsError, match=r"out\.pth will take .*: make room"):
            export_checkpoint(folder, tmp_path / "out.pth")
        assert not list(tmp_path.glob("out*"))

    def test_what_a_killed_run_left_is_cleared_away(
        self, llama: Path, checkpoint: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "ours.partial").mkdir()
        (tmp_path / "ours.partial" / "model-00099.safetensors").write_bytes(b"half")
        folder = convert(llama, checkpoint, tmp_path / "ours")
        assert not (folder / "model-00099.safetensors").exists()

    def test_progress_runs_to_the_end(self, llama: Path, checkpoint: Path, tmp_path: Path) -> None:
        progress: list[tuple[int, int]] = []
        convert(llama, checkpoint, tmp_path / "ours", tell=lambda done, total: progress.append((done, total)))
        assert progress == sorted(progress)
        assert progress[-1][0] >= 0.9 * progress[-1][1]
