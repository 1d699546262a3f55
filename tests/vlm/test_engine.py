"""The engine in this process, on tiny random models: batches, scores, limits, streams and threads."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.vlm import presets, weights
from assistant.vlm.answers import Request
from assistant.vlm.engine import local
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.errors import WeightsError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task, Turn
from assistant.vlm.training.adapter import AdapterConfig, add_adapter, save_adapter

from .tiny import TOWERS, picture, tiny_model, tiny_processor

Script = Sequence[tuple[int, float]]

MIXED = [
    Request(Task.CAPTION, image=picture(0)),
    Request(Task.VQA, "what is the color of the dog?", image=picture(1)),
    Request(Task.REFER, "the dog", image=picture(2)),
    Request(Task.IDENTIFY, region=Box(1, 2, 30, 40), image=picture(3)),
    Request(None, "hello"),
    Request(None, "and now?", image=picture(1), history=(Turn("hello", "hi"),)),
]


@pytest.fixture
def engine() -> LocalEngine:
    return LocalEngine("tiny", tiny_model(), tiny_processor())


@pytest.fixture
def say(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the model say tokens with probabilities, a script a row of the batch, and then end."""
    original = engine.model.forward

    def script(*rows: Script, delay: float = 0.0, fail_at: int | None = None) -> list[int]:
        steps: list[int] = []

        @functools.wraps(original)
        def forward(*arguments: Any, **options: Any) -> Any:
            output = original(*arguments, **options)
            step = len(steps)
            steps.append(step)
            if step == fail_at:
                raise RuntimeError("out of memory")
            time.sleep(delay)
            for row, tokens in enumerate(rows):
                token, probability = tokens[step] if step < len(tokens) else (END, 0.99)
                rest = (1 - probability) / (output.logits.shape[-1] - 1)
                output.logits[row, -1] = math.log(rest)
                output.logits[row, -1, token] = math.log(probability)
            return output

        monkeypatch.setattr(engine.model, "forward", forward)
        return steps

    return script  # type: ignore[return-value]


END = 1
TOKENIZER = tiny_processor().tokenizer


def tokens(text: str) -> list[int]:
    ids: list[int] = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    return ids


def spelling(text: str, digits: float = 0.9, others: float = 0.5) -> list[tuple[int, float]]:
    """Tokens of a text; those with a digit in them have another probability."""
    return [
        (token, digits if any(map(str.isdigit, TOKENIZER.decode([token]))) else others)
        for token in tokens(text)
    ]


class TestBatches:
    @pytest.mark.parametrize("tower", TOWERS)
    def test_a_batch_of_any_mix_is_answered_in_order_as_if_each_were_alone(self, tower: str) -> None:
        engine = LocalEngine("tiny", tiny_model(tower), tiny_processor())
        together = engine.generate(MIXED)
        alone = [engine.generate([request])[0] for request in MIXED]
        assert [answer.raw for answer in together] == [answer.raw for answer in alone]
        assert len({answer.raw for answer in together}) == len(MIXED)
        assert engine.generate(MIXED[::-1])[0].raw == together[-1].raw

    def test_an_empty_batch_is_no_work(self, engine: LocalEngine) -> None:
        assert engine.generate([]) == []

    def test_the_same_request_has_the_same_answer(self, engine: LocalEngine) -> None:
        assert engine.generate(MIXED[:1])[0].raw == engine.generate(MIXED[:1])[0].raw

    def test_the_picture_matters(self, engine: LocalEngine) -> None:
        answers = engine.generate([Request(Task.CAPTION, image=picture(seed)) for seed in (0, 1)])
        assert answers[0].raw != answers[1].raw

    def test_time_is_that_of_the_batch(self, engine: LocalEngine) -> None:
        start = time.perf_counter()
        answers = engine.generate(MIXED[:2])
        passed = time.perf_counter() - start
        assert 0 < answers[0].seconds == answers[1].seconds <= passed

    def test_a_question_that_is_too_long_says_so(self, engine: LocalEngine) -> None:
        with pytest.raises(ValueError, match="over the limit of 480: shorten it"):
            engine.generate([Request(Task.VQA, "dog " * 500, image=picture(0))])

    def test_a_question_that_cannot_be_put_says_so(self, engine: LocalEngine) -> None:
        with pytest.raises(ValueError, match=r"\[identify\] needs a region"):
            engine.generate([Request(Task.IDENTIFY, image=picture(0))])


class TestLimits:
    def test_each_task_has_its_own_longest_answer_in_a_mixed_batch(
        self, engine: LocalEngine, say: Callable[..., None]
    ) -> None:
        for_ever = [(tokens(" a")[0], 0.9)] * 300
        say(for_ever, for_ever, for_ever)
        requests = [
            Request(Task.REFER, "the dog", image=picture(0)),
            Request(Task.GROUNDING, image=picture(0)),
            Request(None, "hello"),
        ]
        answers = engine.generate(requests)
        assert [len(answer.raw.split()) for answer in answers] == [24, 160, 96]
        assert [answer.complete for answer in answers] == [False, False, False]

    @pytest.mark.parametrize(("words", "complete"), [(1, True), (23, True), (24, False), (25, False)])
    def test_an_answer_is_complete_where_the_model_ended_it(
        self, engine: LocalEngine, say: Callable[..., None], words: int, complete: bool
    ) -> None:
        word = (tokens(" a")[0], 0.9)
        say([word] * words, [word] * 60)
        answers = engine.generate([MIXED[2], Request(Task.GROUNDING, image=picture(0))])
        assert answers[0].complete is complete
        assert len(answers[0].raw.split()) == min(words, 24)
        assert answers[1].complete

    def test_an_answer_may_be_empty(self, engine: LocalEngine, say: Callable[..., None]) -> None:
        say([])
        (answer,) = engine.generate(MIXED[:1])
        assert (answer.raw, answer.grounded.text, answer.complete) == ("", "", True)


class TestScores:
    @pytest.mark.parametrize("before", ["", " ", "a dog ", "<p>a dog</p> "])
    def test_a_score_is_the_geometric_mean_of_what_the_coordinates_tokens_had(
        self, engine: LocalEngine, say: Callable[..., None], before: str
    ) -> None:
        text = before + "{<10><20><30><40>}"
        odds = [0.95 - 0.04 * index for index in range(len(tokens(text)))]
        script = list(zip(tokens(text), odds, strict=True))
        say(script)
        (answer,) = engine.generate(MIXED[2:3])
        assert answer.raw == text.strip()
        digits = [odd for token, odd in script if any(map(str.isdigit, TOKENIZER.decode([token])))]
        assert len(digits) == 6  # 10, 20, 3, 0, 4, 0
        expected = math.prod(digits) ** (1 / len(digits))
        assert [box.score for box in answer.grounded.boxes] == [pytest.approx(expected, rel=1e-4)]

    def test_each_box_has_a_score_of_its_own(self, engine: LocalEngine, say: Callable[..., None]) -> None:
        say(
            spelling("<p>a dog</p> {<10><20><30><40>}<delim>", 0.9)
            + spelling("{<11><22><33><44>}", 0.6)
            + spelling(" and {<55><66>", 0.3)
        )
        (answer,) = engine.generate([Request(Task.DETECTION, "dogs", image=picture(0))])
        assert [box.score for box in answer.grounded.boxes] == pytest.approx([0.9, 0.6], rel=1e-4)

    def test_rows_of_a_batch_do_not_mix_their_scores(
        self, engine: LocalEngine, say: Callable[..., None]
    ) -> None:
        say(spelling("{<10><20><30><40>}", 0.8), spelling("a dog, a dog {<1><2><3><4>}", 0.7), spelling("no"))
        answers = engine.generate([MIXED[0], MIXED[0], MIXED[0]])
        scores = [[box.score for box in answer.grounded.boxes] for answer in answers]
        assert scores == [[pytest.approx(0.8, rel=1e-4)], [pytest.approx(0.7, rel=1e-4)], []]

    def test_letters_of_several_bytes_before_a_box_do_not_shift_its_score(
        self, engine: LocalEngine, say: Callable[..., None]
    ) -> None:
        say(spelling("ein Bär ❄ {<10><20><30><40>}", 0.8))
        (answer,) = engine.generate(MIXED[2:3])
        assert answer.raw.startswith("ein Bär ❄")
        assert [box.score for box in answer.grounded.boxes] == [pytest.approx(0.8, rel=1e-4)]


class TestStreams:
    @pytest.mark.parametrize("request_", MIXED, ids=lambda request: str(request.task))
    def test_a_stream_is_the_answer_in_pieces(self, engine: LocalEngine, request_: Request) -> None:
        assert "".join(engine.stream(request_)).strip() == engine.generate([request_])[0].raw

    def test_pieces_come_while_the_model_goes_on(
        self, engine: LocalEngine, say: Callable[..., list[int]]
    ) -> None:
        steps = say([(token, 0.9) for token in tokens(" a dog is running" * 4)], delay=0.005)
        seen = [(piece, len(steps)) for piece in engine.stream(MIXED[0])]
        assert "".join(piece for piece, _ in seen) == " a dog is running" * 4
        assert all(piece for piece, _ in seen)
        assert seen[0][1] < len(steps)

    def test_leaving_a_stream_stops_the_decoding(
        self, engine: LocalEngine, say: Callable[..., list[int]]
    ) -> None:
        steps = say([(tokens(" a")[0], 0.9)] * 200, delay=0.005)
        stream = engine.stream(Request(Task.GROUNDING, image=picture(0)))
        next(stream)
        stream.close()
        stopped_at = len(steps)
        assert stopped_at < 100
        time.sleep(0.05)
        assert len(steps) == stopped_at
        assert engine.generate(MIXED[:1])  # the engine is free again

    def test_an_error_before_the_first_piece_reaches_the_caller(self, engine: LocalEngine) -> None:
        with pytest.raises(ValueError, match="shorten it"):
            list(engine.stream(Request(Task.VQA, "dog " * 500, image=picture(0))))

    def test_an_error_on_the_way_reaches_the_caller_behind_what_was_said(
        self, engine: LocalEngine, say: Callable[..., list[int]]
    ) -> None:
        said: list[str] = []
        say([(token, 0.9) for token in tokens(" a dog is running" * 4)], fail_at=12)
        with pytest.raises(RuntimeError, match="out of memory"):
            said.extend(engine.stream(MIXED[0]))
        assert "".join(said).startswith(" a dog")
        say([(tokens("dog")[0], 0.9)])
        assert engine.generate(MIXED[:1])[0].raw  # the engine is free again


class TestThreads:
    def test_several_threads_may_ask_at_once(self, engine: LocalEngine) -> None:
        expected = [engine.generate([request])[0].raw for request in MIXED]

        def ask(number: int) -> str:
            request = MIXED[number % len(MIXED)]
            if number % 2:
                return "".join(engine.stream(request)).strip()
            return engine.generate([request])[0].raw

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, range(2 * len(MIXED))))
        assert answers == expected * 2


class TestLoading:
    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        """A folder with a whole tiny model."""
        folder = tmp_path / "base"
        tiny_model().save_pretrained(folder)
        tiny_processor().save_pretrained(folder)
        return folder

    @pytest.fixture
    def preset(self, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> presets.Preset:
        """A preset with the tiny model for its base, and an adapter that ships with it."""
        preset = presets.Preset("tiny", "", presets.NANO.language_model, presets.NANO.vision_tower, 56)
        monkeypatch.setattr(presets, "ADAPTERS", tmp_path / "adapters")
        monkeypatch.setattr(weights, "base_model", lambda _: base)
        monkeypatch.setattr(local, "PRESETS", {"tiny": preset})
        save_adapter(add_adapter(tiny_model(), AdapterConfig(rank=2)), preset.adapter, "tiny")
        return preset

    def test_a_whole_models_folder(self, base: Path) -> None:
        engine = LocalEngine.load(str(base))
        assert engine.name == str(base)
        assert len(engine.generate(MIXED)) == len(MIXED)

    @pytest.mark.usefixtures("preset")
    def test_a_model_by_name_has_the_adapter_merged_in(self) -> None:
        engine = LocalEngine.load("tiny")
        assert engine.name == "tiny"
        assert not any("lora" in name for name, _ in engine.model.named_parameters())
        assert engine.generate(MIXED[:1])

    def test_an_adapters_folder(self, preset: presets.Preset) -> None:
        assert LocalEngine.load(str(preset.adapter)).name == str(preset.adapter)

    @pytest.mark.usefixtures("preset")
    def test_an_adapter_of_another_model_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "other"
        save_adapter(add_adapter(tiny_model(), AdapterConfig(rank=2)), folder, "somebody-else")
        with pytest.raises(WeightsError, match="adapter for 'somebody-else', which is none of tiny"):
            LocalEngine.load(str(folder))

    def test_an_adapter_of_another_shape_is_refused(self, preset: presets.Preset, tmp_path: Path) -> None:
        folder = tmp_path / "other"
        save_adapter(add_adapter(tiny_model(), AdapterConfig(rank=2, all_linear=False)), folder, preset.name)
        (folder / "adapter_config.json").write_text((preset.adapter / "adapter_config.json").read_text())
        with pytest.raises(WeightsError, match=r"not an adapter of this model: \d+ weights missing"):
            LocalEngine.load(str(folder))

    def test_a_name_and_a_folder_that_are_not_there(self, tmp_path: Path) -> None:
        for name in ("maxi", str(tmp_path), str(tmp_path / "nowhere")):
            with pytest.raises(WeightsError, match="name one of nano, or a folder"):
                LocalEngine.load(name)

    def test_a_model_that_lacks_a_weight_is_refused(self, base: Path) -> None:
        from safetensors.torch import load_file, save_file

        path = base / "model.safetensors"
        state = load_file(path)
        del state[max(state)]
        save_file(state, path, metadata={"format": "pt"})
        with pytest.raises(WeightsError):
            LocalEngine.load(str(base))

    def test_the_model_does_not_train(self, engine: LocalEngine) -> None:
        assert not engine.model.training
        engine.generate(MIXED[:1])
        assert torch.is_grad_enabled()  # in this thread, for whoever trains beside it
