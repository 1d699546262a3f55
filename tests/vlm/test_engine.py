"""The engine in this process, on tiny random models: batches, scores, limits, streams and threads."""

from __future__ import annotations

import _thread
import functools
import gc
import itertools
import json
import math
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import torch

from assistant.vlm.answers import Request
from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter, save_adapter
from assistant.vlm.engine import batching, local, prefix_cache
from assistant.vlm.engine.batching import Row
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.errors import WeightsError
from assistant.vlm.grounding import Box
from assistant.vlm.models import bases, presets
from assistant.vlm.tasks import Task, Turn

from .tiny import TOWERS, picture, tiny_model, tiny_processor

Script = Sequence[tuple[int, float]]
Say = Callable[..., list[int]]

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
def say(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Have the model say tokens with probabilities, a script a row in the order of asking, and then end.

    Returns a list that gets the number of rows at each pass of the model.
    """
    choose, run = batching._Batch._write, engine.model.forward

    def script(*scripts: Script, delay: float = 0.0, fail_at: int | None = None) -> list[int]:
        passes: list[int] = []
        rows: list[Row] = []

        @functools.wraps(run)
        def forward(*arguments: Any, **options: Any) -> Any:
            if len(passes) == fail_at:
                raise RuntimeError("out of memory")
            passes.append(len(options["attention_mask"]))
            time.sleep(delay)
            return run(*arguments, **options)

        def write(
            batch: batching._Batch, logits: torch.Tensor, written: list[Row], drafts: list[list[int]]
        ) -> list[int]:
            for index, row in enumerate(written):
                if row not in rows:
                    rows.append(row)
                tokens, step = scripts[rows.index(row)], len(row.tokens)
                token, probability = tokens[step] if step < len(tokens) else (END, 0.99)
                logits[index, -1] = math.log((1 - probability) / (logits.shape[-1] - 1))
                logits[index, -1, token] = math.log(probability)
            return choose(batch, logits, written, drafts)

        monkeypatch.setattr(engine.model, "forward", forward)
        monkeypatch.setattr(batching._Batch, "_write", write)
        return passes

    return script


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
    def test_a_mixed_batch_is_answered_in_order_as_if_each_request_were_alone(self, tower: str) -> None:
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

    def test_the_answer_depends_on_the_image(self, engine: LocalEngine) -> None:
        answers = engine.generate([Request(Task.CAPTION, image=picture(seed)) for seed in (0, 1)])
        assert answers[0].raw != answers[1].raw

    def test_seconds_end_with_each_answer(self, engine: LocalEngine, say: Say) -> None:
        word = (tokens(" a")[0], 0.9)
        say([word] * 2, [word] * 10, delay=0.01)
        start = time.perf_counter()
        short, long = engine.generate(MIXED[:2])
        passed = time.perf_counter() - start
        assert 0.03 < short.seconds < long.seconds <= passed

    def test_a_finished_row_costs_nothing_more(self, engine: LocalEngine, say: Say) -> None:
        word = (tokens(" a")[0], 0.9)
        passes = say([word] * 2, [word] * 5, [word] * 3)
        engine.generate([MIXED[4], MIXED[0], MIXED[5]])
        assert passes == [1, 1, 1, 1, 1, 3, 3, 2, 1, 1]  # prompts one by one, with an image in two parts

    def test_a_question_that_is_too_long_is_refused(self, engine: LocalEngine) -> None:
        with pytest.raises(ValueError, match="over the limit of 480: shorten it"):
            engine.generate([Request(Task.VQA, "dog " * 500, image=picture(0))])

    def test_a_request_without_its_region_is_refused(self, engine: LocalEngine) -> None:
        with pytest.raises(ValueError, match=r"\[identify\] needs a region"):
            engine.generate([Request(Task.IDENTIFY, image=picture(0))])


class TestLimits:
    def test_each_task_has_its_own_token_limit_in_a_mixed_batch(self, engine: LocalEngine, say: Say) -> None:
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
    def test_an_answer_is_complete_if_the_model_ended_it(
        self, engine: LocalEngine, say: Say, words: int, complete: bool
    ) -> None:
        word = (tokens(" a")[0], 0.9)
        say([word] * words, [word] * 60)
        answers = engine.generate([MIXED[2], Request(Task.GROUNDING, image=picture(0))])
        assert answers[0].complete is complete
        assert len(answers[0].raw.split()) == min(words, 24)
        assert answers[1].complete

    def test_an_answer_may_be_empty(self, engine: LocalEngine, say: Say) -> None:
        say([])
        (answer,) = engine.generate(MIXED[:1])
        assert (answer.raw, answer.grounded.text, answer.complete) == ("", "", True)


class TestScores:
    @pytest.mark.parametrize("before", ["", " ", "a dog ", "<p>a dog</p> "])
    def test_a_score_is_the_geometric_mean_of_the_coordinates_probabilities(
        self, engine: LocalEngine, say: Say, before: str
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

    def test_each_box_has_its_own_score(self, engine: LocalEngine, say: Say) -> None:
        say(
            spelling("<p>a dog</p> {<10><20><30><40>}<delim>", 0.9)
            + spelling("{<11><22><33><44>}", 0.6)
            + spelling(" and {<55><66>", 0.3)
        )
        (answer,) = engine.generate([Request(Task.DETECTION, "dogs", image=picture(0))])
        assert [box.score for box in answer.grounded.boxes] == pytest.approx([0.9, 0.6], rel=1e-4)

    def test_rows_of_a_batch_do_not_mix_their_scores(self, engine: LocalEngine, say: Say) -> None:
        say(spelling("{<10><20><30><40>}", 0.8), spelling("a dog, a dog {<1><2><3><4>}", 0.7), spelling("no"))
        answers = engine.generate([MIXED[0], MIXED[0], MIXED[0]])
        scores = [[box.score for box in answer.grounded.boxes] for answer in answers]
        assert scores == [[pytest.approx(0.8, rel=1e-4)], [pytest.approx(0.7, rel=1e-4)], []]

    def test_letters_of_several_bytes_before_a_box_do_not_shift_its_score(
        self, engine: LocalEngine, say: Say
    ) -> None:
        say(spelling("ein Bär ❄ {<10><20><30><40>}", 0.8))
        (answer,) = engine.generate(MIXED[2:3])
        assert answer.raw.startswith("ein Bär ❄")
        assert [box.score for box in answer.grounded.boxes] == [pytest.approx(0.8, rel=1e-4)]


class Listener:
    """Records texts; stops at a number of words."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.texts: dict[int, list[str]] = {}
        self.stop_at = stop_at

    def on_text(self, request: int, raw: str) -> None:
        self.texts.setdefault(request, []).append(raw)

    def should_stop(self) -> bool:
        texts = [of_request[-1] for of_request in self.texts.values()]
        limit = self.stop_at
        return limit == 0 or (limit is not None and any(len(text.split()) >= limit for text in texts))


class FailingListener(Listener):
    def on_text(self, *_: object) -> None:
        raise OSError("the terminal is gone")


ENDLESS: Script = [(tokens(" a")[0], 0.9)] * 400
LONG = Request(Task.DETECTION, "dogs", image=picture(0))
SHORT = Request(Task.VQA, "what is it?", image=picture(1))


class TestListeners:
    def test_a_listener_gets_each_answer_as_it_grows_and_does_not_change_it(
        self, engine: LocalEngine
    ) -> None:
        listener = Listener()
        listened = engine.generate(MIXED, listener)
        assert [answer.raw for answer in listened] == [answer.raw for answer in engine.generate(MIXED)]
        for index, answer in enumerate(listened):
            texts = listener.texts[index]
            assert texts[-1] == answer.raw.rstrip("\ufffd")
            assert len(set(texts)) > 1
            assert all(after.startswith(before) for before, after in itertools.pairwise(texts))

    def test_a_listener_gets_no_incomplete_characters(self, engine: LocalEngine, say: Say) -> None:
        listener = Listener()
        say(spelling("ein Bär ❄"))
        engine.generate(MIXED[:1], listener)
        assert listener.texts[0][-1] == "ein Bär ❄"
        assert not any("\ufffd" in text for text in listener.texts[0])

    def test_a_stopped_answer_keeps_its_text_and_complete_boxes(self, engine: LocalEngine, say: Say) -> None:
        passes = say([*spelling("<p>a dog</p> {<10><20><30><40>} and so", 0.8), *ENDLESS], delay=0.003)
        (answer,) = engine.generate([LONG], Listener(stop_at=5))
        assert not answer.complete
        assert answer.raw.startswith("<p>a dog</p> {<10><20><30><40>} and s")
        assert [box.score for box in answer.grounded.boxes] == [pytest.approx(0.8, rel=1e-4)]
        assert len(passes) < 100

    def test_a_stop_before_the_first_token_leaves_an_empty_answer(
        self, engine: LocalEngine, say: Say
    ) -> None:
        passes = say(ENDLESS, ENDLESS, delay=0.003)
        answers = engine.generate([LONG, LONG], Listener(stop_at=0))
        assert not any(answer.complete for answer in answers)
        assert all(len(answer.raw.split()) < 3 for answer in answers)
        assert_ends(passes)

    def test_an_answer_that_ended_before_the_stop_is_complete(self, engine: LocalEngine, say: Say) -> None:
        say(spelling("no"), ENDLESS, delay=0.003)
        short, long = engine.generate([SHORT, LONG], Listener(stop_at=6))
        assert (short.raw, short.complete, long.complete) == ("no", True, False)

    def test_a_listener_that_fails_reaches_the_caller_and_stops_the_decoding(
        self, engine: LocalEngine, say: Say
    ) -> None:
        passes = say(ENDLESS, delay=0.003)
        with pytest.raises(OSError, match="the terminal is gone"):
            engine.generate([LONG], FailingListener())
        assert_ends(passes)


def assert_ends(passes: list[int]) -> None:
    """Check that the model stops long before the end of its script."""
    before = -1
    while len(passes) > before:
        before = len(passes)
        time.sleep(0.05)
    assert before < 100


class TestStreams:
    @pytest.mark.parametrize("request_", MIXED, ids=lambda request: str(request.task))
    def test_a_stream_is_the_answer_in_pieces(self, engine: LocalEngine, request_: Request) -> None:
        pieces = list(engine.stream(request_))
        assert "".join(pieces) == engine.generate([request_])[0].raw.rstrip("\ufffd")
        assert len(pieces) > 1  # tokens that come before the asker looks are one piece

    def test_pieces_come_while_the_model_is_decoding(self, engine: LocalEngine, say: Say) -> None:
        passes = say(spelling("a dog is running " * 4), delay=0.005)
        seen = [(piece, len(passes)) for piece in engine.stream(MIXED[0])]
        assert "".join(piece for piece, _ in seen) == ("a dog is running " * 4).strip()
        assert all(piece for piece, _ in seen)
        assert seen[0][1] < len(passes)

    def test_leaving_a_stream_stops_the_decoding(self, engine: LocalEngine, say: Say) -> None:
        passes = say(ENDLESS, delay=0.005)
        stream: Any = engine.stream(LONG)
        next(stream)
        stream.close()
        assert_ends(passes)

    def test_an_error_before_the_first_piece_reaches_the_caller(self, engine: LocalEngine) -> None:
        with pytest.raises(ValueError, match="shorten it"):
            list(engine.stream(Request(Task.VQA, "dog " * 500, image=picture(0))))

    def test_a_later_error_reaches_the_caller_after_the_pieces_so_far(
        self, engine: LocalEngine, say: Say
    ) -> None:
        received: list[str] = []
        say(spelling("a dog is running " * 4), fail_at=12)
        with pytest.raises(RuntimeError, match="out of memory"):
            received.extend(engine.stream(MIXED[0]))
        assert "".join(received).startswith("a dog")
        say(spelling("dog"))
        assert engine.generate(MIXED[:1])[0].raw == "dog"  # the engine is free again


class TestConcurrency:
    def test_concurrent_threads_get_the_same_answers_as_alone(self, engine: LocalEngine) -> None:
        expected = [engine.generate([request])[0].raw for request in MIXED]

        def ask(number: int) -> str:
            return engine.generate([MIXED[number % len(MIXED)]], Listener() if number % 2 else None)[0].raw

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(4 * len(MIXED))))
        assert answers == expected * 4

    def test_a_request_during_a_long_answer_does_not_wait_for_its_end(
        self, engine: LocalEngine, say: Say
    ) -> None:
        passes = say(ENDLESS, spelling("two dogs"), delay=0.005)
        with ThreadPoolExecutor(2) as pool:
            long = pool.submit(engine.generate, [LONG])
            wait_for(lambda: len(passes) > 3)
            assert engine.generate([SHORT])[0].raw == "two dogs"
            assert not long.done()
            assert len(long.result()[0].raw.split()) == LONG.max_new_tokens
        assert max(passes) == 2

    def test_requests_beyond_the_batch_size_join_in_order(
        self, engine: LocalEngine, say: Say, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batching, "MAX_ROWS", 3)
        word = (tokens(" a")[0], 0.9)
        passes = say(*([word] * count for count in (2, 9, 9, 4, 4, 2, 6)))
        answers = engine.generate([SHORT] * 7)
        assert [len(answer.raw.split()) for answer in answers] == [2, 9, 9, 4, 4, 2, 6]
        assert max(passes) == 3
        ends = [answer.seconds for answer in answers]
        assert ends[0] < ends[3] < ends[5] < ends[6]

    def test_stopping_one_request_leaves_the_others(self, engine: LocalEngine, say: Say) -> None:
        say(ENDLESS, spelling("a dog " * 20), delay=0.005)
        listener = Listener(stop_at=8)
        with ThreadPoolExecutor(2) as pool:
            stopped = pool.submit(engine.generate, [LONG], listener)
            wait_for(lambda: bool(listener.texts))
            answer = engine.generate([Request(None, "tell")])[0]
        assert 8 <= len(stopped.result()[0].raw.split()) < 12
        assert (answer.raw, answer.complete) == (("a dog " * 20).strip(), True)

    def test_a_request_given_up_while_waiting_is_never_decoded(
        self, engine: LocalEngine, say: Say, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batching, "MAX_ROWS", 1)
        passes = say(ENDLESS, spelling("two"), delay=0.005)
        listener = Listener()
        with ThreadPoolExecutor(2) as pool:
            long = pool.submit(engine.generate, [LONG], listener)
            wait_for(lambda: bool(passes))
            (stopped,) = engine.generate([SHORT], Listener(stop_at=0))
            listener.stop_at = 0
            (answer,) = engine.generate([SHORT])
        assert (stopped.raw, stopped.complete) == ("", False)
        assert not long.result()[0].complete
        assert (answer.raw, answer.complete) == ("two", True)

    def test_a_faulty_prompt_fails_only_its_own_request(
        self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = engine.generate([MIXED[0]])[0].raw
        read = batching._Batch._prefill

        def prefill(batch: batching._Batch, row: Row) -> torch.Tensor:
            if row.max_new_tokens == LONG.max_new_tokens:
                raise RuntimeError("too large")
            return read(batch, row)

        monkeypatch.setattr(batching._Batch, "_prefill", prefill)
        rows = [engine._row(request) for request in (MIXED[0], LONG, MIXED[0])]
        for row in rows:
            engine._decoder._waiting.append(row)  # all three are there when the work begins
        with pytest.raises(RuntimeError, match="too large"):
            engine.generate([LONG])
        wait_for(lambda: all(row.ended_at for row in rows))
        assert [str(row.error) for row in rows] == ["None", "too large", "None"]
        assert engine._text(rows[0].tokens) == engine._text(rows[2].tokens) == expected

    def test_a_worker_that_fails_to_start_reports_it_and_the_next_request_is_answered(
        self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unable(_: object) -> batching._Batch:
            raise RuntimeError("the device is lost")

        with monkeypatch.context() as patch:
            patch.setattr(batching.BatchDecoder, "_new_batch", unable)
            progress = engine._decoder.decode([engine._row(SHORT)])
            with pytest.raises(RuntimeError, match="the device is lost"):
                wait_for(lambda: next(progress) is not None)
        assert engine.generate([SHORT])[0].raw

    @pytest.mark.parametrize("error", [None, RuntimeError("out of memory")])
    def test_a_late_end_is_waited_for(
        self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, error: Exception | None
    ) -> None:
        class SlowQueue(SimpleQueue[Row]):
            def put(self, *arguments: Any) -> None:
                time.sleep(3 * batching._POLL_SECONDS)
                super().put(*arguments)

        monkeypatch.setattr(batching, "SimpleQueue", SlowQueue)
        row = engine._row(SHORT)
        worker = threading.Thread(target=row.end, args=[error])
        monkeypatch.setattr(engine._decoder, "_submit", lambda _: worker.start())
        with nullcontext() if error is None else pytest.raises(RuntimeError, match="out of memory"):
            assert [seen for seen in engine._decoder.decode([row]) if seen] == [row]

    def test_an_idle_worker_ends_and_releases_the_model(self) -> None:
        def workers() -> list[threading.Thread]:
            return [thread for thread in threading.enumerate() if thread.name == "decoder"]

        own = LocalEngine("tiny", tiny_model(), tiny_processor())
        assert own.generate(MIXED[:1])
        wait_for(lambda: not workers())
        gone = weakref.ref(own.model)
        del own
        gc.collect()
        assert gone() is None

    def test_ctrl_c_reaches_the_waiting_thread_and_ends_the_work(self, engine: LocalEngine, say: Say) -> None:
        passes = say(ENDLESS, delay=0.003)

        def press() -> None:
            wait_for(lambda: len(passes) > 2)
            _thread.interrupt_main()

        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            engine.generate([LONG])
        presser.join()
        assert_ends(passes)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class TestPictures:
    @pytest.fixture
    def looks(self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How many images each pass of the tower encodes."""
        seen: list[int] = []
        look = engine.model.get_image_features

        def counted(pixel_values: torch.Tensor) -> Any:
            seen.append(len(pixel_values))
            return look(pixel_values)

        monkeypatch.setattr(engine.model, "get_image_features", counted)
        return seen

    @pytest.fixture
    def read(self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        """How many positions each pass of the language model computes, and how many it attends to."""
        widths: list[tuple[int, int]] = []
        run = engine.model.forward

        @functools.wraps(run)
        def forward(*arguments: Any, **options: Any) -> Any:
            positions = options["position_ids"]
            widths.append((positions.shape[1], int(positions.max()) + 1))
            return run(*arguments, **options)

        monkeypatch.setattr(engine.model, "forward", forward)
        return widths

    def test_a_second_question_reuses_the_encoded_image_and_has_the_same_answer(
        self, engine: LocalEngine, looks: list[int]
    ) -> None:
        expected = [answer.raw for answer in engine.generate([SHORT, MIXED[0]])]
        again = [engine.generate([request])[0].raw for request in (MIXED[0], SHORT)]
        assert again[::-1] == expected
        assert looks == [1, 1]

    def test_an_image_that_a_batch_shares_is_encoded_once(
        self, engine: LocalEngine, looks: list[int]
    ) -> None:
        alike = [Request(Task.CAPTION, image=picture(0)), Request(Task.REFER, "a dog", image=picture(0))]
        engine.generate([*alike, SHORT])
        assert looks == [1, 1]

    def test_a_second_question_is_prefilled_from_where_it_differs(
        self, engine: LocalEngine, read: list[tuple[int, int]]
    ) -> None:
        first, second = (Request(Task.VQA, f"what is {it}?", image=picture(0)) for it in ("this", "that"))
        expected = LocalEngine("tiny", tiny_model(), tiny_processor()).generate([second])[0].raw
        engine.generate([first])
        read.clear()
        assert engine.generate([second])[0].raw == expected
        (prompt,) = engine.processor([second.image], [second.turns])["input_ids"]
        width, length = read[0]
        assert length == len(prompt)
        assert width < len(prompt) - engine.model.config.image_tokens

    def test_a_later_turn_prefills_no_earlier_one_again(
        self, engine: LocalEngine, read: list[tuple[int, int]]
    ) -> None:
        first = Request(None, "what is this?", image=picture(0))
        answer = engine.generate([first])[0].raw
        later = replace(first, argument="why?", history=(Turn("what is this?", answer),))
        expected = LocalEngine("tiny", tiny_model(), tiny_processor()).generate([later])[0].raw
        read.clear()
        assert engine.generate([later])[0].raw == expected
        asked = engine.processor([first.image], [first.turns])["input_ids"].shape[1]
        width, length = read[0]
        assert length - width >= asked

    def test_earlier_questions_do_not_change_the_steps_of_a_question(
        self, engine: LocalEngine, read: list[tuple[int, int]]
    ) -> None:
        first, other = (Request(Task.VQA, text, image=picture(0)) for text in ("what is it?", "what now?"))
        engine.generate([first])
        image, *alone = read
        assert image[0] > engine.model.config.image_tokens
        for request in (first, other, first):
            read.clear()
            engine.generate([request])
        assert read == alone

    def test_new_and_cached_images_are_answered_together(self, engine: LocalEngine) -> None:
        requests = [Request(Task.REFER, "a dog", image=picture(seed)) for seed in range(5)]
        expected = [answer.raw for answer in engine.generate(requests)]
        known = LocalEngine("tiny", tiny_model(), tiny_processor())
        known.generate([replace(request, argument="a cat") for request in requests[::2]])
        assert [answer.raw for answer in known.generate(requests)] == expected

    def test_the_latest_images_stay_cached_up_to_the_limit(
        self, engine: LocalEngine, looks: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = [Request(Task.VQA, "what is it?", image=picture(seed)) for seed in range(3)]
        engine.generate([asked[0]])
        wait_for(lambda: not engine._decoder._working)  # the answer is cached after its end
        of_one = sum(map(len, engine._decoder._prefixes._kept))
        monkeypatch.setattr(prefix_cache, "KEPT_TOKENS", 2 * of_one)
        for seed in (1, 0, 2, 0, 1):
            engine.generate([asked[seed]])
        assert looks == [1, 1, 1, 1]  # of 0, 1, 2, and 1 again


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
        vision, language, classifier = presets.NANO.wheels
        preset = presets.Preset("tiny", "", vision, language, classifier, image_size=56)
        monkeypatch.setattr(presets, "ADAPTERS", tmp_path / "adapters")
        monkeypatch.setattr(bases, "base_model", lambda _: base)
        for module in (local, bases):
            monkeypatch.setattr(module, "PRESETS", {"tiny": preset})
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

    def test_a_preset_without_its_adapter_is_an_error_without_a_path(self, preset: presets.Preset) -> None:
        shutil.rmtree(preset.adapter)
        with pytest.raises(WeightsError, match=r"^tiny lacks its adapter: install assistant again"):
            LocalEngine.load("tiny")

    def test_an_unknown_setting_is_refused_by_name(self, base: Path) -> None:
        path = base / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"patches_a_token": 4}))
        with pytest.raises(WeightsError, match=r"config\.json: patches_a_token: unknown setting"):
            LocalEngine.load(str(base))

    def test_an_adapters_folder(self, preset: presets.Preset) -> None:
        assert LocalEngine.load(str(preset.adapter)).name == str(preset.adapter)

    @pytest.mark.usefixtures("preset")
    def test_an_adapter_of_another_model_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "other"
        save_adapter(add_adapter(tiny_model(), AdapterConfig(rank=2)), folder, "somebody-else")
        with pytest.raises(WeightsError, match="the adapter is for 'somebody-else', which is none of tiny"):
            LocalEngine.load(str(folder))

    def test_an_adapter_of_another_shape_is_refused(self, preset: presets.Preset, tmp_path: Path) -> None:
        folder = tmp_path / "other"
        save_adapter(add_adapter(tiny_model(), AdapterConfig(rank=2, all_linear=False)), folder, preset.name)
        (folder / "adapter_config.json").write_text((preset.adapter / "adapter_config.json").read_text())
        with pytest.raises(WeightsError, match=r"not an adapter of this model: \d+ weights missing"):
            LocalEngine.load(str(folder))

    def test_an_unknown_name_and_a_missing_folder(self, tmp_path: Path) -> None:
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
        assert torch.is_grad_enabled()  # in this thread, for training in the same process
