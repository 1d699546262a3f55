"""Devices, precisions, quantized weights, and what is said where memory is not enough."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from assistant.vlm.answers import Request
from assistant.vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
from assistant.vlm.engine import memory, placement, precision
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.engine.memory import loading, weight_bytes
from assistant.vlm.engine.placement import Placement
from assistant.vlm.engine.precision import fastest_precision
from assistant.vlm.engine.slots import Slots
from assistant.vlm.errors import AssistantError, WeightsError
from assistant.vlm.tasks import Task

from .tiny import picture, tiny_config, tiny_model, tiny_processor

CAPTION = Request(Task.CAPTION, image=picture(0))
# As the released model's: of 6.7 billion weights, 6.5 are in the layers.
LLAMA = {"language_model.model.layers.0.self_attn.q_proj.weight": (6_500_000, 1000), "other": (200_000, 1000)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model().save_pretrained(tmp_path)
    tiny_processor().save_pretrained(tmp_path)
    return tmp_path


def no_memory(*_: Any, **__: Any) -> Any:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class TestDevices:
    @pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", "cpu:0", ""])
    def test_an_unknown_one_is_refused(self, device: str) -> None:
        with pytest.raises(ValueError, match=r"device is .* it must be cpu, cuda, cuda:1, mps or auto"):
            Placement(device)

    @pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
    def test_one_that_is_not_there_is_named(self, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        with pytest.raises(WeightsError, match=f"--device {device.partition(':')[0]}: there is no"):
            Placement(device)

    def test_a_gpu_past_the_last_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert Placement("cuda:1").first_device == "cuda:1"
        with pytest.raises(WeightsError, match=r"--device cuda:2: the GPUs here are 0 to 1"):
            Placement("cuda:2")

    @pytest.mark.parametrize("device", ["cpu", "auto"])
    def test_the_answer_is_the_same_wherever_the_model_is(self, folder: Path, device: str) -> None:
        (wanted,) = LocalEngine.load(str(folder), dtype=torch.float32).generate([CAPTION])
        engine = LocalEngine.load(str(folder), dtype=torch.float32, device=device)
        assert engine.generate([CAPTION])[0].raw == wanted.raw

    def test_a_layer_on_another_device_than_the_cache_gets_its_keys_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The meta device stands for a second GPU."""
        copy = torch.Tensor.to

        def to(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
            return (
                torch.zeros(tensor.shape) if tensor.is_meta and device.type == "cpu" else copy(tensor, device)
            )

        slots = Slots(tiny_config().text_config, torch.device("cpu"), torch.float32)
        slots.aim(0, [0], 3)
        monkeypatch.setattr(torch.Tensor, "to", to)
        states = torch.ones(1, 2, 3, 8, device="meta")
        keys, values = slots.update(states, states, 0)
        assert keys.is_meta
        assert values.is_meta


class TestPrecision:
    @pytest.mark.parametrize(("supported", "wanted"), [(True, torch.bfloat16), (False, torch.float16)])
    def test_a_gpu_without_bfloat16_computes_in_float16(
        self, supported: bool, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: supported)
        assert fastest_precision() == fastest_precision("cuda:1") == wanted
        assert fastest_precision("mps") == torch.float16
        assert fastest_precision("cpu") == precision.fastest_precision("cpu")

    def test_a_device_can_be_chosen_on_a_machine_with_a_gpu(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        engine = LocalEngine.load(str(folder), dtype=torch.float32, device="cpu")
        assert engine.model.device == torch.device("cpu")


def installed(*libraries: str) -> Callable[[str], ModuleSpec | None]:
    return lambda name: ModuleSpec(name, None) if name in libraries else None


class TestQuantizing:
    def test_a_missing_library_is_named_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(placement, "find_spec", installed())
        with pytest.raises(WeightsError, match=r"^--quantize 8bit .*pip install bitsandbytes or torchao$"):
            Placement(quantize="8bit")
        monkeypatch.setattr(placement, "find_spec", installed("torchao"))
        with pytest.raises(
            WeightsError, match=r"^--quantize 4bit needs a library: pip install bitsandbytes$"
        ):
            Placement(quantize="4bit")
        with pytest.raises(ValueError, match="it must be 8bit or 4bit"):
            Placement(quantize="int8")

    @pytest.mark.parametrize("kind", ["8bit", "4bit"])
    def test_transformers_gets_the_merged_weights_and_settings(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, asked = tiny_model(), {}

        def from_pretrained(_: None, **options: Any) -> MiniGPTv2ForConditionalGeneration:
            asked.update(options)
            return tiny_model(seed=1)

        monkeypatch.setattr(placement, "find_spec", installed("bitsandbytes"))
        monkeypatch.setattr(MiniGPTv2ForConditionalGeneration, "from_pretrained", from_pretrained)
        loaded = Placement("cpu", quantize=kind).put(model)
        settings = asked["quantization_config"]
        assert (settings.load_in_8bit, settings.load_in_4bit) == (kind == "8bit", kind == "4bit")
        assert settings.llm_int8_skip_modules == placement._NOT_QUANTIZED
        assert asked["device_map"] == {"": "cpu"}
        assert asked["state_dict"].keys() == model.state_dict().keys()
        assert loaded.generation_config is model.generation_config

    @pytest.mark.parametrize("kind", ["8bit", "4bit"])
    def test_a_quantized_model_answers(self, tmp_path: Path, kind: str) -> None:
        pytest.importorskip("bitsandbytes")
        config = tiny_config()
        text = config.text_config
        text.hidden_size, text.intermediate_size, text.head_dim = 64, 128, 16  # whole blocks of 64 weights
        torch.manual_seed(0)
        MiniGPTv2ForConditionalGeneration(config).save_pretrained(tmp_path)
        tiny_processor().save_pretrained(tmp_path)
        engine = LocalEngine.load(str(tmp_path), quantize=kind, device="cpu")
        layer = engine.model.language_model.model.layers[0].mlp.up_proj
        assert layer.weight.dtype == {"8bit": torch.int8, "4bit": torch.uint8}[kind]
        assert type(engine.model.vision_projection) is nn.Linear
        assert engine.generate([CAPTION])[0].raw

    def test_a_layer_with_quantized_weights_keeps_them(self) -> None:
        pytest.importorskip("torchao")
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        model = tiny_model()
        quantize_(model.language_model.model.layers, Int8WeightOnlyConfig())
        assert LocalEngine("tiny", model, tiny_processor()).generate([CAPTION])[0].raw
        assert type(model.language_model.model.layers[0].mlp.up_proj) is nn.Linear


class TestMemory:
    def test_the_size_counts_quantized_weights_as_smaller(self) -> None:
        assert weight_bytes(LLAMA, 2) == 13_400_000_000
        assert weight_bytes(LLAMA, 2, "8bit") == 6_900_000_000
        assert weight_bytes(LLAMA, 2, "4bit") == 4_056_250_000

    @pytest.mark.parametrize(
        ("free", "message"),
        [
            (12, "--quantize 8bit takes 6.9 GB and --quantize 4bit takes 4.1 GB and --device auto"),
            (6, "free; --quantize 4bit takes 4.1 GB and --device auto uses the main memory"),
            (2, "free; --device auto uses the main memory as well"),
        ],
    )
    def test_too_little_on_a_gpu_says_what_would_fit(
        self, free: int, message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free * 10**9, 16 * 10**9))
        with pytest.raises(WeightsError, match=message) as caught, loading(LLAMA, torch.float16, "cuda"):
            no_memory()
        assert str(caught.value).startswith(
            f"out of memory: the weights take 13.4 GB in float16, cuda has {free}.0 GB of 16.0 GB free; "
        )

    def test_float32_may_be_halved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "memory_of", lambda _: (16 * 10**9, 16 * 10**9))
        message = "26.8 GB in float32, cpu has .* free; --dtype float16 takes 13.4 GB and --quantize 8bit"
        with pytest.raises(WeightsError, match=message), loading(LLAMA, torch.float32, "cpu"):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")

    def test_loading_onto_a_full_gpu_is_one_line(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 10**9))
        put = MiniGPTv2ForConditionalGeneration.to
        monkeypatch.setattr(
            MiniGPTv2ForConditionalGeneration,
            "to",
            lambda model, device: no_memory() if device == "cuda" else put(model, device),
        )
        with pytest.raises(WeightsError, match=r"^out of memory: .* 0\.0 GB of 1\.0 GB free; .*$"):
            LocalEngine.load(str(folder), dtype=torch.float32)

    def test_another_error_stays_as_it_is(self) -> None:
        with pytest.raises(RuntimeError, match="shapes"), loading(LLAMA, torch.float16, "cpu"):
            raise RuntimeError("shapes differ")

    def test_an_answer_without_memory_is_one_line_and_the_next_is_answered(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = LocalEngine("tiny", tiny_model(), tiny_processor())
        with monkeypatch.context() as patch:
            patch.setattr(engine.model, "get_image_features", no_memory)
            with pytest.raises(AssistantError, match=r"^out of memory while answering: .*--max-tokens"):
                engine.generate([CAPTION])
        assert engine.generate([CAPTION])[0].raw
