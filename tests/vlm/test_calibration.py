"""Calibration: fitted, stored with an adapter, and applied in place of the raw score."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.vlm.answers import Generation, Request
from assistant.vlm.calibration import FILE, BoxEvidence, Calibration, fit
from assistant.vlm.engine.calibrated import CalibratedEngine
from assistant.vlm.errors import WeightsError
from assistant.vlm.grounding import parse
from assistant.vlm.tasks import Task

chances = st.floats(0, 1)


def evidence(opening: float = 0.9, place: float = 0.5, area: float = 0.2) -> BoxEvidence:
    return BoxEvidence(opening, place, area)


class TestFit:
    def test_the_fit_finds_the_feature_that_separates_correct_boxes(self) -> None:
        random_ = random.Random(0)
        places = [random_.random() for _ in range(400)]
        boxes = [evidence(place=place) for place in places]
        weights = fit(boxes, [random_.random() < place for place in places])
        calibration = Calibration(weights={"refer": weights})
        low, high = (calibration.probability("refer", evidence(place=place)) for place in (0.1, 0.9))
        assert low == pytest.approx(0.1, abs=0.1)
        assert high == pytest.approx(0.9, abs=0.12)

    @pytest.mark.parametrize("decay", [None, 5.0])
    def test_the_weights_are_the_most_likely_ones_under_the_penalty(self, decay: float | None) -> None:
        random_ = random.Random(1)
        boxes = [
            BoxEvidence(
                random_.random(), random_.random(), random_.random(), random_.choice((None, 0.1, 0.9))
            )
            for _ in range(400)
        ]
        right = [random_.random() < 0.9 + 0.1 * box.place for box in boxes]
        weights = fit(boxes, right) if decay is None else fit(boxes, right, decay)
        # At the maximum, each feature's sum over the errors is in balance with its penalty.
        balance = {name: 0.0 if name == "bias" else -(decay or 1.0) * weights[name] for name in weights}
        for box, hit in zip(boxes, right, strict=True):
            features = box.features()
            score = sum(weights[name] * features[name] for name in weights)
            for name, value in features.items():
                balance[name] += value * (hit - 1 / (1 + math.exp(-score)))
        assert balance == pytest.approx(dict.fromkeys(weights, 0.0), abs=0.02)
        assert all(weight == round(weight, 4) for weight in weights.values())

    def test_fitting_needs_both_correct_and_wrong_boxes(self) -> None:
        with pytest.raises(ValueError, match=r"^fitting needs correct boxes and wrong ones$"):
            fit([evidence(), evidence()], [True, True])


class TestEvidence:
    def test_probabilities_count_by_their_logarithm_and_the_area_by_its_side(self) -> None:
        assert BoxEvidence(0.8, 0.25, 0.09, 0.4).features() == pytest.approx(
            {
                "bias": 1.0,
                "opening": math.log(0.8),
                "absence": math.log(0.2),
                "place": math.log(0.25),
                "size": 0.3,
                "looked_closer": 1.0,
                "agreement": 0.4,
            }
        )

    def test_without_crops_there_is_no_agreement(self) -> None:
        features = evidence().features()
        assert (features["looked_closer"], features["agreement"]) == (0.0, 0.0)

    def test_a_probability_of_0_is_as_good_as_one_in_ten_thousand(self) -> None:
        absent, certain = (evidence(opening=chance, place=chance).features() for chance in (0.0, 1.0))
        assert absent["opening"] == absent["place"] == certain["absence"] == math.log(1e-4)
        assert absent["absence"] == certain["opening"] == certain["place"] == 0.0


class TestCalibration:
    @given(chances, chances, chances, st.none() | chances)
    def test_any_evidence_gives_a_probability(
        self, opening: float, place: float, area: float, agreement: float | None
    ) -> None:
        features = BoxEvidence(opening, place, area, agreement).features()
        calibration = Calibration(weights={"refer": dict.fromkeys(features, 50.0)})
        found = calibration.probability("refer", BoxEvidence(opening, place, area, agreement))
        assert found is not None
        assert 0.0 <= found <= 1.0

    def test_the_probability_is_the_logistic_function_of_the_weighted_features(self) -> None:
        calibration = Calibration(weights={"refer": {"bias": 0.5, "size": 2.0}})
        found = calibration.probability("refer", evidence(area=0.09))
        assert found == pytest.approx(1 / (1 + math.exp(-1.1)))

    def test_a_task_without_weights_has_no_probability(self) -> None:
        assert Calibration(weights={}).probability("grounding", evidence()) is None

    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        written = Calibration(weights={"refer": {"bias": 0.5, "place": 2.0}}, refuse_below=0.3)
        (tmp_path / FILE).write_text(written.model_dump_json())
        assert Calibration.load(tmp_path) == written

    def test_a_folder_without_one_has_none(self, tmp_path: Path) -> None:
        assert Calibration.load(tmp_path) is None

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "Invalid JSON"),
            ('{"weights": 3}', "weights: "),
            ('{"weights": {}, "other": 1}', "other: unknown setting"),
            ('{"weights": {"refer": {"hue": 1}}}', "'hue'"),
            ('{"weights": {"segment": {"bias": 1}}}', "'segment'"),
            ('{"weights": {"refer": {"bias": "1"}}}', r"weights\.refer\.bias: "),
            ('{"weights": {"refer": {"bias": 1e300}}}', r"weights\.refer\.bias: "),
            ('{"weights": {"refer": {"bias": NaN}}}', r"weights\.refer\.bias: "),
            ('{"weights": {}, "refuse_below": 2}', "refuse_below: "),
            ("[" * 10_000, "Invalid JSON"),
        ],
    )
    def test_a_damaged_file_is_named_with_the_key(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / FILE).write_text(content)
        with pytest.raises(WeightsError, match=rf"calibration\.json: .*{message}"):
            Calibration.load(tmp_path)


class Recorded:
    """An engine that gives one recorded answer."""

    name = "recorded"

    def __init__(self, raw: str, boxes: Sequence[BoxEvidence]) -> None:
        self.answer = Generation(parse(raw), 0.1, evidence=tuple(boxes))

    def generate(self, requests: Sequence[Request], _listener: object = None) -> list[Generation]:
        return [self.answer for _ in requests]


class TestCalibratedEngine:
    calibration = Calibration(weights={"refer": {"bias": 0.0, "place": 1.0}}, refuse_below=0.3)

    def answer(self, place: float, task: Task | None = Task.REFER, adapter: str = "") -> Generation:
        engine: Any = Recorded("{<10><20><30><40>}", [evidence(place=place)])
        calibrated = CalibratedEngine(engine, {"": self.calibration})
        [answer] = calibrated.generate([Request(task, "the dog", adapter=adapter)])
        return answer

    def test_a_box_carries_its_probability(self) -> None:
        [box] = self.answer(place=0.9).grounded.boxes
        assert box.score == pytest.approx(0.9 / 1.9)

    def test_an_improbable_box_is_refused_and_the_words_are_kept(self) -> None:
        refused = self.answer(place=0.2)
        assert refused.grounded.boxes == ()
        assert refused.raw == "{<10><20><30><40>}"

    def test_answers_of_another_adapter_stay_as_they_are(self) -> None:
        [box] = self.answer(place=0.2, adapter="mine").grounded.boxes
        assert box.score is None

    def test_other_tasks_stay_as_they_are(self) -> None:
        [box] = self.answer(place=0.2, task=Task.DETECTION).grounded.boxes
        assert box.score is None
