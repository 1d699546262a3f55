"""Consensus decoding: the box of a referent that sampled answers agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assistant.vlm.answers import Generation, Request
from assistant.vlm.calibration import BoxEvidence
from assistant.vlm.engine.consensus import CODES, ConsensusEngine, agreed
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.engine.sampling import CodeChooser, even_codes
from assistant.vlm.grounding import parse
from assistant.vlm.tasks import Task

from ..ui.fakes import ScriptedEngine
from .tiny import picture, tiny_model, tiny_processor

LEFT, RIGHT, ABSENT = "{<0><0><40><100>}", "{<60><0><100><100>}", "there is no dog"
REQUEST = Request(Task.REFER, "the dog")


def answer(raw: str, *, complete: bool = True) -> Generation:
    grounded = parse(raw)
    return Generation(grounded, 0.1, complete, (BoxEvidence(0.9, 0.5, 0.4),) * len(grounded.boxes))


class TestAgreement:
    def test_the_box_that_most_samples_agree_with_is_the_answer(self) -> None:
        nearly_right = ["{<60><0><99><100>}", "{<61><0><100><100>}", RIGHT]
        found = agreed(answer(LEFT), [answer(it) for it in (LEFT, *nearly_right)])
        assert found.raw == RIGHT

    def test_its_score_is_its_mean_overlap_with_the_samples(self) -> None:
        found = agreed(answer(RIGHT), [answer(it) for it in (RIGHT, RIGHT, LEFT, ABSENT)])
        assert [box.score for box in found.grounded.boxes] == [0.5]
        assert [it.consensus for it in found.evidence] == [0.5]

    def test_where_nothing_was_found_nothing_is(self) -> None:
        assert agreed(answer(ABSENT), [answer(RIGHT)] * 3) == answer(ABSENT)

    def test_unfinished_samples_do_not_count(self) -> None:
        cut = answer(RIGHT, complete=False)
        assert agreed(answer(LEFT), [cut, cut, answer(LEFT)]).raw == LEFT
        assert agreed(answer(LEFT), [cut]) == answer(LEFT)

    @given(
        st.lists(st.sampled_from([LEFT, RIGHT, ABSENT]), max_size=9), st.sampled_from([LEFT, RIGHT, ABSENT])
    )
    def test_the_answer_was_given_by_the_model(self, samples: list[str], greedy: str) -> None:
        found = agreed(answer(greedy), [answer(it) for it in samples])
        assert found.raw in {greedy, *samples}
        assert bool(found.grounded.boxes) is (greedy != ABSENT)
        assert all(0.0 <= (box.score or 0.0) <= 1.0 for box in found.grounded.boxes)


class TestEngine:
    def test_only_referents_are_sampled(self) -> None:
        scripted = ScriptedEngine({Task.CAPTION: "a dog", Task.REFER: lambda it: RIGHT if it.code else LEFT})
        requests = [Request(Task.CAPTION), REQUEST, replace(REQUEST, argument="the cat")]
        found = ConsensusEngine(scripted).generate(requests)
        assert [it.raw for it in found] == ["a dog", RIGHT, RIGHT]
        asked = Counter((it.task, it.argument) for it in scripted.requests)
        assert asked[Task.CAPTION, ""] == 1
        assert asked[Task.REFER, "the dog"] == asked[Task.REFER, "the cat"] == 1 + len(CODES)

    def test_listeners_get_the_greedy_answers(self) -> None:
        class Listener:
            def __init__(self) -> None:
                self.words: list[str] = []

            def on_text(self, request: int, raw: str) -> None:
                self.words.append(f"{request}: {raw}")

            def should_stop(self) -> bool:
                return False

        listener = Listener()
        scripted = ScriptedEngine({Task.REFER: lambda it: RIGHT if it.code else LEFT})
        ConsensusEngine(scripted).generate([REQUEST, REQUEST], listener)
        assert listener.words == [f"0: {LEFT}", f"1: {LEFT}"]


def test_samples_of_an_answer_read_their_prompt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LocalEngine("tiny", tiny_model(), tiny_processor())
    lengths, embed = [], engine.model.embed_with_features

    def counted(ids: torch.Tensor, *inputs: Any) -> torch.Tensor:
        lengths.append(ids.shape[1])
        return embed(ids, *inputs)

    monkeypatch.setattr(engine.model, "embed_with_features", counted)
    request = replace(REQUEST, image=picture(1))
    samples = engine.generate([replace(request, code=code) for code in CODES])
    assert len([length for length in lengths if length > 1]) == 1
    assert len({it.raw for it in samples}) > 1
    assert engine.generate([replace(request, code=CODES[3])])[0].raw == samples[3].raw


def drawn(probabilities: Sequence[float], count: int) -> Counter[int]:
    logits = torch.tensor(probabilities).log()
    return Counter(CodeChooser(code).likeliest([], logits)[0] for code in even_codes(count))


class TestArithmeticSampling:
    def test_even_codes_draw_tokens_in_proportion_to_their_probabilities(self) -> None:
        assert drawn([0.5, 0.0, 0.3, 0.2], 10) == {0: 5, 2: 3, 3: 2}

    def test_sequences_are_drawn_in_proportion_too(self) -> None:
        first, after = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.75, 0.25]).log()
        pairs: Counter[tuple[int, int]] = Counter()
        for code in even_codes(8):
            chooser = CodeChooser(code)
            pairs[chooser.likeliest([], first)[0], chooser.likeliest([0], after)[0]] += 1
        assert pairs == {(0, 0): 3, (0, 1): 1, (1, 0): 3, (1, 1): 1}

    @given(st.lists(st.floats(-30, 30), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True))
    def test_any_code_draws_a_token_with_its_probability(self, logits: list[float], code: float) -> None:
        chooser, given_ = CodeChooser(code), torch.tensor(logits)
        for _ in range(6):
            token, probability = chooser.likeliest([], given_)
            assert probability == pytest.approx(float(given_.double().softmax(-1)[token]), abs=1e-12)
