"""The released files' layout, filled with small random weights: what comes of it is the reference's model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from assistant.vlm.answers import Request
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.errors import WeightsError
from assistant.vlm.eva import State, eva_vit_config, read_torch
from assistant.vlm.released import LORA_ALPHA, convert_released, merge_lora, split_checkpoint
from assistant.vlm.tasks import Task

from .tiny import picture, tiny_tokenizer

PARITY = Path(__file__).parents[1] / "parity"
TOWER = eva_vit_config(56, hidden_size=32, layers=2, heads=2)
LAYERS, WIDTH, RANK = 2, 64, 4


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A directory as LLaMA-2's, of two small layers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=321,  # `<unk>` is added to the tiny tokenizer
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    folder = tmp_path / "llama"
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tiny_tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def lora_state(spelling: str = "") -> State:
    """LoRA under the names of peft 0.2.0, or with `.default` of later ones, and the saver's buffers."""
    torch.manual_seed(1)
    state: State = {}
    for index in range(LAYERS):
        layer = f"llama_model.base_model.model.model.layers.{index}.self_attn"
        for name in ("q_proj", "v_proj"):
            state[f"{layer}.{name}.lora_A{spelling}.weight"] = torch.randn(RANK, WIDTH)
            state[f"{layer}.{name}.lora_B{spelling}.weight"] = torch.randn(WIDTH, RANK)
        state[f"{layer}.rotary_emb.inv_freq"] = torch.ones(8)
    return state


def write_checkpoint(path: Path, state: State) -> Path:
    torch.save({"model": state, "optimizer": {"state": {}}, "config": {"run": {}}, "epoch": 3}, path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint.pth", lora_state() | read_torch(PARITY / "llama_proj.pth"))


def convert(llama: Path, checkpoint: Path, folder: Path) -> Path:
    convert_released(llama, PARITY / "eva_vit_g.pth", checkpoint, folder, TOWER)
    return folder


def test_the_converted_folder_is_a_model_that_answers(llama: Path, checkpoint: Path, tmp_path: Path) -> None:
    engine = LocalEngine.load(str(convert(llama, checkpoint, tmp_path / "ours")))
    assert engine.model.config.image_tokens == engine.processor.image_tokens == 4
    (answer,) = engine.generate([Request(Task.CAPTION, image=picture(0))])
    assert answer.raw
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("spelling", ["", ".default"])
def test_lora_is_added_to_queries_and_values_by_the_released_scale(
    llama: Path, tmp_path: Path, spelling: str
) -> None:
    state = lora_state(spelling)
    path = write_checkpoint(tmp_path / "c.pth", state | read_torch(PARITY / "llama_proj.pth"))
    ours = LocalEngine.load(str(convert(llama, path, tmp_path / "ours"))).model.float()
    before = LlamaForCausalLM.from_pretrained(llama, dtype=torch.float32)
    for index in range(LAYERS):
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            layer = f"model.layers.{index}.self_attn.{name}"
            wanted = before.get_submodule(layer).weight
            if name in ("q_proj", "v_proj"):
                half = f"llama_model.base_model.model.{layer}.lora"
                down, up = state[f"{half}_A{spelling}.weight"], state[f"{half}_B{spelling}.weight"]
                wanted = wanted + LORA_ALPHA / RANK * up @ down
            found = ours.language_model.get_submodule(layer).weight
            torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)  # of bfloat16


def test_the_linear_layer_and_the_tower_are_the_files(llama: Path, checkpoint: Path, tmp_path: Path) -> None:
    model = LocalEngine.load(str(convert(llama, checkpoint, tmp_path / "ours"))).model.float()
    projection = read_torch(PARITY / "llama_proj.pth")
    torch.testing.assert_close(
        model.vision_projection.weight, projection["llama_proj.weight"], rtol=1e-2, atol=1e-3
    )
    patches = read_torch(PARITY / "eva_vit_g.pth")["patch_embed.proj.weight"].float()
    found = model.vision_tower.embeddings.patch_embedding.weight
    torch.testing.assert_close(found, patches, rtol=1e-2, atol=1e-3)


def test_each_text_of_a_prompt_is_spelt_as_the_tokenizers_file_has_it(
    llama: Path, checkpoint: Path, tmp_path: Path
) -> None:
    tokenizer = LocalEngine.load(str(convert(llama, checkpoint, tmp_path / "ours"))).processor.tokenizer
    text = "</Img> [vqa] what is this?"
    assert tokenizer.encode(text, add_special_tokens=False) == tiny_tokenizer().encode(
        text, add_special_tokens=False
    )
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")


@pytest.mark.parametrize(
    "drop", ["layers.1.self_attn.q_proj.lora_B", "layers.1.self_attn.v_proj.lora", "v_proj", "lora"]
)
def test_lora_that_is_not_whole_is_refused(llama: Path, drop: str) -> None:
    lora, _ = split_checkpoint({name: value for name, value in lora_state().items() if drop not in name})
    with pytest.raises(WeightsError, match="not LoRA for this LLaMA of 2 layers"):
        merge_lora(LlamaForCausalLM.from_pretrained(llama), lora)


def test_lora_of_another_size_is_refused(llama: Path) -> None:
    lora, _ = split_checkpoint({name: value[:, :8] for name, value in lora_state().items() if "lora" in name})
    with pytest.raises(WeightsError, match="does not fit this LLaMA"):
        merge_lora(LlamaForCausalLM.from_pretrained(llama), lora)


def test_a_weight_that_has_no_place_is_named(llama: Path, tmp_path: Path) -> None:
    state = lora_state() | read_torch(PARITY / "llama_proj.pth") | {"q_former.weight": torch.zeros(1)}
    path = write_checkpoint(tmp_path / "c.pth", state)
    with pytest.raises(WeightsError, match=r"q_former\.weight"):
        convert(llama, path, tmp_path / "ours")


def test_what_is_there_already_and_what_is_missing_is_told(
    llama: Path, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match="already there"):
        convert(llama, checkpoint, tmp_path)
    with pytest.raises(WeightsError, match="no LLaMA-2 directory"):
        convert(tmp_path / "nowhere", checkpoint, tmp_path / "ours")
    (llama / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        convert(llama, checkpoint, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
