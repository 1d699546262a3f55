"""Continuing texts: constrained, with drafts, batched with images, and with the language model alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.vlm.answers import Completion, Request
from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, save_adapter
from assistant.vlm.engine import language_model
from assistant.vlm.engine.batching import Row
from assistant.vlm.engine.constraint import Constraint
from assistant.vlm.engine.language_model import LanguageModel
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.engine.zoom import ZoomRefiner
from assistant.vlm.errors import WeightsError
from assistant.vlm.models import weights
from assistant.vlm.tasks import Task, Turn, build_prompt

from .tiny import picture, tiny_model, tiny_processor

END = 1


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine("tiny", tiny_model(), tiny_processor())


def yes_or_no(written: str) -> Sequence[str] | None:
    """Allow `yes`, then anything, or `no` and nothing more."""
    if not written:
        return ["yes", "no"]
    return [""] if written == "no" else None


def greedy(engine: LocalEngine, prompt: str, count: int) -> list[int]:
    """Return what the model itself says, one whole pass a token."""
    tokenizer = engine.processor.tokenizer
    ids = [0, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
    begun = len(ids)
    for _ in range(count):
        with torch.no_grad():
            logits = engine.model(input_ids=torch.tensor([ids])).logits[0, -1]
        ids.append(int(logits.argmax()))
        if ids[-1] == END:
            break
    return [token for token in ids[begun:] if token != END]


class TestConstraints:
    def constraint(self, choices: Sequence[str]) -> Constraint:
        encode = {"ab": [5, 6], "ac": [5, 7], "": []}.__getitem__
        return Constraint(lambda text: choices if text in ("", "5-6") else None, encode, self.text, END)

    def text(self, ids: Sequence[int]) -> str:
        return "-".join(map(str, ids))

    def test_spell_choices_token_by_token(self) -> None:
        constraint = self.constraint(["ab", "ac"])
        assert constraint.allowed([]) == [5]
        assert constraint.allowed([5]) == [6, 7]
        assert constraint.allowed([5, 7]) is None

    def test_ask_again_where_a_choice_is_spelled(self) -> None:
        constraint = self.constraint(["ab", ""])
        assert constraint.allowed([]) == [END, 5]
        assert constraint.allowed([5]) == [6]
        assert constraint.allowed([5, 6]) == [END, 5]

    def test_take_the_likeliest_of_what_is_allowed(self) -> None:
        constraint = self.constraint(["ab", ""])
        logits = torch.tensor([9.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
        assert constraint.likeliest([], logits) == (END, pytest.approx(0.5))


class TestCompletions:
    def test_are_the_models_greedy_continuation(self, engine: LocalEngine) -> None:
        prompts = ["> where is the dog?", "- a man\n> and two dogs of the snow?"]
        written = engine.complete([Completion(prompt, max_new_tokens=12) for prompt in prompts])
        decode = engine.processor.tokenizer.decode
        assert [item.text for item in written] == [decode(greedy(engine, prompt, 12)) for prompt in prompts]

    def test_are_the_same_with_drafts(self, engine: LocalEngine) -> None:
        prompts = ["> where is the dog?", "- a man\n> and two dogs of the snow?", "> the"]
        plain = engine.complete([Completion(prompt, max_new_tokens=20) for prompt in prompts])
        # One has its answer as a draft, another half of it, and the third something else.
        copied = [plain[0].text, plain[1].text[: len(plain[1].text) // 2], "what is the color of the dog"]
        drafted = engine.complete(
            [
                Completion(prompt, copied=text, max_new_tokens=20)
                for prompt, text in zip(prompts, copied, strict=True)
            ]
        )
        assert [item.text for item in drafted] == [item.text for item in plain]
        for before, after in zip(plain, drafted, strict=True):
            assert after.probabilities == pytest.approx(before.probabilities, abs=1e-4)

    def test_take_fewer_passes_with_drafts(
        self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (plain,) = engine.complete([Completion("> where is the dog?", max_new_tokens=20)])
        passes = []
        forward = engine.model.forward

        def counted(**inputs: Any) -> Any:
            passes.append(1)
            return forward(**inputs)

        monkeypatch.setattr(engine.model, "forward", counted)
        engine.complete([Completion("> where is the dog?", copied=plain.text, max_new_tokens=20)])
        assert len(passes) < len(plain.pieces)

    def test_keep_to_their_choices(self, engine: LocalEngine) -> None:
        (written,) = engine.complete([Completion("> is it?", yes_or_no, max_new_tokens=8)])
        assert written.text.startswith("yes") or written.text == "no"

    def test_end_when_only_the_end_is_allowed(self, engine: LocalEngine) -> None:
        only = [Completion("> is it?", lambda text: [""] if text else ["no"])]
        (written,) = engine.complete(only)
        assert (written.text, written.complete) == ("no", True)
        assert len(written.pieces) == len(written.probabilities)

    def test_batch_with_questions_about_pictures(self, engine: LocalEngine) -> None:
        question = Request(Task.VQA, "how many dogs?", image=picture(1))
        alone = engine.generate([question])[0].raw
        answers: list[str] = []
        completion = Completion("> is it?", yes_or_no, copied="yes no dog", max_new_tokens=12)
        expected = engine.complete([completion])[0].text
        row = engine._row(question)
        mixed = [row, engine._completer._row(completion)]
        for _ in engine._decoder.decode(mixed):
            pass
        answers.append(engine.processor.decode_answer(row.tokens))
        assert answers == [alone]
        assert engine.processor.tokenizer.decode(mixed[1].tokens) == expected

    def test_use_the_prompt_of_the_training(self, engine: LocalEngine) -> None:
        completion = Completion("- a dog\n> where is it?\n=>")
        learnt = engine.processor.encode(build_prompt([Turn(completion.prompt, bare=True)], image=False))
        assert engine._completer._row(completion).input_ids.tolist() == learnt.input_ids

    def test_too_long_are_refused(self, engine: LocalEngine) -> None:
        with pytest.raises(ValueError, match="too long"):
            engine.complete([Completion("dog " * 1000)])

    def test_bypass_the_zoom(self, engine: LocalEngine) -> None:
        completion = Completion("> is it?", max_new_tokens=4)
        assert ZoomRefiner(engine).complete([completion]) == engine.complete([completion])


class TestDrafts:
    @pytest.mark.parametrize(
        ("tokens", "draft"),
        [
            pytest.param([6], [7, 5, 8, 9], id="after the last token"),
            pytest.param([7, 5], [8, 9], id="where the token before is the same as well"),
            pytest.param([4], [5, 6, 7, 5, 8, 9], id="from the beginning without a match"),
        ],
    )
    def test_continue_what_is_copied(self, tokens: list[int], draft: list[int]) -> None:
        row = Row(torch.tensor([0]), None, 10, copied=[5, 6, 7, 5, 8, 9], tokens=tokens)
        assert row.draft() == draft


class TestLanguageModel:
    def folders(self, tmp_path: Path) -> tuple[Path, Path]:
        base, adapter = tmp_path / "base", tmp_path / "adapter"
        model, processor = tiny_model(), tiny_processor()
        model.save_pretrained(base)
        processor.save_pretrained(base)
        adapted = add_adapter(model, AdapterConfig(rank=2, alpha=4))
        torch.manual_seed(3)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        save_adapter(adapted, adapter, "tiny")
        return base, adapter

    def test_continues_like_the_whole_model(self, tmp_path: Path) -> None:
        base, adapter = self.folders(tmp_path)
        from assistant.vlm.architecture.adapter import load_adapter
        from assistant.vlm.engine.local import load_model

        merged = load_adapter(load_model(base).float(), adapter).merge_and_unload()
        whole = LocalEngine("tiny", merged, tiny_processor())
        alone = LanguageModel.load(base, adapter)
        completions = [Completion("> where is the dog?", max_new_tokens=6)]
        assert alone.complete(completions)[0].pieces[:2] == whole.complete(completions)[0].pieces[:2]

    def test_reports_unreadable_weights(self, tmp_path: Path) -> None:
        base, adapter = self.folders(tmp_path)
        (adapter / "adapter_model.safetensors").unlink()
        with pytest.raises(WeightsError, match=r"there is no file .*adapter_model\.safetensors"):
            LanguageModel.load(base, adapter)


def test_threads_that_ask_at_once_load_the_default_language_model_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[Path] = []

    def load(base: Path, _adapter: Path) -> object:
        loads.append(base)
        time.sleep(0.05)  # long enough for every other thread to ask meanwhile
        return object()

    monkeypatch.setattr(weights, "base_model", lambda _preset: Path("base"))
    monkeypatch.setattr(language_model.LanguageModel, "load", load)
    language_model._load_default.cache_clear()
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: language_model.default_language_model(), range(4)))
    finally:
        language_model._load_default.cache_clear()
    assert len(loads) == 1
    assert all(one is found[0] for one in found)
