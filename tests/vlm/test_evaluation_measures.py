"""Measures against values computed by hand."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.vlm.errors import AssistantError
from assistant.vlm.evaluation.answers import number_in, same_answer, vqa_accuracy, vqa_normalise
from assistant.vlm.evaluation.captions import caption_scorers, caption_scores
from assistant.vlm.evaluation.items import is_malformed
from assistant.vlm.evaluation.metrics import (
    Measure,
    average_precision,
    bootstrap,
    match_boxes,
    mean,
    proportion,
    ratio,
)
from assistant.vlm.evaluation.wups import wordnet_similarity, wups
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task


class TestIntervals:
    def test_a_share_has_wilsons_interval(self) -> None:
        # (0.8 + 1.96²/20 ± 1.96 √(0.8·0.2/10 + 1.96²/400)) / (1 + 1.96²/10)
        measure = proportion([True] * 8 + [False] * 2)
        assert (measure.value, measure.count) == (0.8, 10)
        assert (measure.low, measure.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)

    @pytest.mark.parametrize(
        ("hits", "low", "high"), [([False] * 10, 0.0, 0.2775), ([True] * 10, 0.7225, 1.0), ([], 0.0, 1.0)]
    )
    def test_the_interval_stays_within_0_and_1(self, hits: list[bool], low: float, high: float) -> None:
        measure = proportion(hits)
        assert (measure.low, measure.high) == pytest.approx((low, high), abs=5e-5)
        assert 0.0 <= measure.low <= measure.value <= measure.high + 1e-12 <= 1.0 + 1e-12

    def test_rounding_puts_no_interval_above_1(self) -> None:
        assert max(proportion([True] * count).high for count in range(1, 100)) == 1.0

    def test_without_items_a_share_can_be_anything(self) -> None:
        assert proportion([]) == Measure(0.0, 0.0, 1.0, 0)

    def test_a_mean_has_a_bootstrap_interval(self) -> None:
        values = [float(number % 2) for number in range(100)]
        measure = mean(values)
        assert (measure.value, measure.count) == (0.5, 100)
        # The mean of 100 coins has a standard deviation of 0.05.
        assert (measure.low, measure.high) == pytest.approx((0.4, 0.6), abs=0.03)
        assert mean(values) == measure
        assert mean([]) == Measure(0.0, None, None, 0)
        assert bootstrap(3, lambda drawn: 0.25 * len(drawn), count=7) == Measure(0.75, 0.75, 0.75, 7)

    def test_a_ratio_counts_its_wholes_and_resamples_parts_with_them(self) -> None:
        measure = ratio([1, 0, 0, 1], [3, 1, 0, 1])
        assert (measure.value, measure.count) == (0.4, 5)
        assert 0.0 <= measure.low < 0.4 < measure.high <= 1.0
        assert ratio([0.1] * 4, [0.2] * 4).value == pytest.approx(0.5)
        assert ratio([0, 0], [0, 0]) == Measure(0.0, None, None, 0)


class TestAnswers:
    @pytest.mark.parametrize(
        ("predicted", "wanted"),
        [
            ("brown", "brown"),
            ("A brown.", "brown"),
            ("The Eiffel Tower", "eiffel tower"),
            ("a cat and a dog", "dog, cat"),
            ("dog, cat", "cat, dog"),
            ("red, white, and blue", "red, white, blue"),
            ("Red , white AND blue", "blue, white, red"),
            ("salt and pepper", "salt and pepper"),
            ("it's", "it's"),
            ("a", "A"),
            ("<", "<"),
        ],
    )
    def test_the_same_things_in_other_words(self, predicted: str, wanted: str) -> None:
        assert same_answer(predicted, wanted)

    @pytest.mark.parametrize(
        ("predicted", "wanted"),
        [
            ("brown", "red"),
            ("", "red"),
            ("red", "red, blue"),
            ("red, blue", "red"),
            ("sand", "s"),
            ("", "A"),
            ("", "<"),
            (">", "<"),
        ],
    )
    def test_other_things(self, predicted: str, wanted: str) -> None:
        assert not same_answer(predicted, wanted)

    @pytest.mark.parametrize(
        ("answer", "number"),
        [("2 of them", 2), ("Two dogs", 2), ("there are ten", 10), ("12", 12), ("someone", None), ("", None)],
    )
    def test_a_number_in_digits_or_words(self, answer: str, number: int | None) -> None:
        assert number_in(answer) == number


class TestConsensus:
    """VQAv2's accuracy; the expected values come from the official evaluation."""

    @pytest.mark.parametrize(
        ("same", "accuracy"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)]
    )
    def test_each_person_is_left_out_in_turn(self, same: int, accuracy: float) -> None:
        answers = ["red"] * same + [f"other {number}" for number in range(10 - same)]
        assert vqa_accuracy("Red.", answers) == pytest.approx(accuracy)

    @pytest.mark.parametrize(
        ("answer", "normalised"),
        [
            ("The two dogs.", "2 dogs"),
            ("None", "0"),
            ("dont", "don't"),
            ("couldntve", "couldntve"),  # two apostrophes are missing
            ("couldn'tve", "couldn't've"),
            ("black/white", "black white"),
            ("yes, it is", "yes it is"),
            ("1,000 people", "1000 people"),
            ("3.5", "3.5"),
            ("u.s.", "us"),
            ("a\nred\tcar ", "red car"),
            ("T-shirt", "t shirt"),
        ],
    )
    def test_answers_are_normalised_first(self, answer: str, normalised: str) -> None:
        assert vqa_normalise(answer) == normalised


def alike(first: str, second: str) -> float:
    known = {("cup", "mug"): 0.95, ("cup", "table"): 0.6}
    return known.get((first, second), known.get((second, first), 0.0))


class TestWups:
    @pytest.mark.parametrize(
        ("predicted", "wanted", "strict", "lenient"),
        [
            ("cup", "Cup.", 1.0, 1.0),
            ("mug", "cup", 0.95, 0.95),
            ("table", "cup", 0.06, 0.6),
            ("zebra", "cup", 0.0, 0.0),
            ("cup, table", "table, cup", 1.0, 1.0),
            ("mug, table", "cup, table", 0.95, 0.95),
            ("mug", "cup, table", 0.0, 0.0),  # nothing is like a table
            ("cup", "mug, table", 0.95 * 0.06, 0.95 * 0.6),  # both wanted things are only near the one named
            ("cup, mug, table", "cup", 0.95 * 0.06, 0.95 * 0.6),
        ],
    )
    def test_the_worse_of_two_directions_counts(
        self, predicted: str, wanted: str, strict: float, lenient: float
    ) -> None:
        assert wups(predicted, wanted, 0.9, alike) == pytest.approx(strict)
        assert wups(predicted, wanted, 0.0, alike) == pytest.approx(lenient)

    def test_missing_wordnet_is_reported_with_the_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "nltk", None)
        monkeypatch.setitem(sys.modules, "nltk.corpus", None)
        with pytest.raises(AssistantError, match=r"pip install nltk, then python -m nltk.downloader wordnet"):
            wordnet_similarity()

    def test_wordnet_gives_the_similarity_of_nouns(self) -> None:
        try:
            similarity = wordnet_similarity()
        except AssistantError as error:
            pytest.skip(str(error))
        assert similarity("cup", "mug") > similarity("cup", "table") > similarity("cup", "happiness") > 0.0
        assert similarity("cups", "cup") == 1.0
        assert similarity("cup", "xyzzy") == 0.0


class TestForm:
    @pytest.mark.parametrize(
        ("task", "raw"),
        [
            (Task.REFER, "{<1><2><30><40>}"),
            (Task.DETECTION, "<p>dogs</p> {<1><2><30><40>}<delim>{<50><60><70><80>}"),
            (Task.DETECTION, "<p>dog</p> {<1><2><30><40>} <p>cat</p> {<50><60><70><80>}"),
            (Task.GROUNDING, "<p>a dog</p>{<1><2><30><40>} on the grass"),
            (Task.GROUNDING, "a dog on the grass"),
            (Task.CAPTION, "a dog on the grass"),
            (None, "a dog"),
        ],
    )
    def test_the_form_of_training_is_well_formed(self, task: Task | None, raw: str) -> None:
        assert not is_malformed(task, raw)

    @pytest.mark.parametrize(
        ("task", "raw"),
        [
            *((task, "") for task in Task),
            (Task.REFER, "on the left"),
            (Task.REFER, "{<1><2><30><40>} "),
            (Task.REFER, "{<1><2><30><140>}"),
            (Task.REFER, "{<1><2><30><40>}<delim>{<1><2><30><40>}"),
            (Task.DETECTION, "no dogs"),
            (Task.DETECTION, "<p>dogs</p> {<1><2><30"),
            (Task.DETECTION, "<p>dogs</p>{<1><2><30><40>}"),
            (Task.GROUNDING, "{<1><2><30><40>}"),
            (Task.GROUNDING, "<p>a dog</p>{<1><2> on the grass"),
            (Task.CAPTION, "<p>a dog</p>{<1><2><30><40>}"),
            (Task.VQA, "{<1><2><30><40>}"),
        ],
    )
    def test_anything_else_is_malformed(self, task: Task | None, raw: str) -> None:
        assert is_malformed(task, raw)

    @given(
        st.lists(
            st.sampled_from(["<p>", "</p>", "{<1><2><3><4>}", "<delim>", "dog", " ", "{<1>"]), max_size=9
        )
    )
    def test_any_answer_can_be_checked(self, pieces: list[str]) -> None:
        for task in (*Task, None):
            assert is_malformed(task, "".join(pieces)) in (True, False)


class TestBoxes:
    WANTED = (Box(0, 0, 20, 20), Box(50, 50, 70, 70))

    def test_each_wanted_box_is_found_once(self) -> None:
        found = (self.WANTED[0], self.WANTED[0], self.WANTED[1])
        assert match_boxes(found, self.WANTED) == [True, False, True]

    def test_the_box_that_overlaps_most_is_the_one(self) -> None:
        close, exact = Box(0, 0, 20, 15), self.WANTED[0]
        assert match_boxes((close, exact), self.WANTED) == [False, True]
        assert match_boxes((close,), self.WANTED) == [True]

    def test_a_box_of_a_higher_score_chooses_before_one_that_overlaps_more(self) -> None:
        sure, exact = Box(0, 0, 20, 15, 0.9), self.WANTED[0].with_score(0.3)
        assert match_boxes((exact, sure), self.WANTED) == [False, True]
        assert match_boxes((exact, sure.with_score(0.2)), self.WANTED) == [True, False]
        assert match_boxes((self.WANTED[0], sure), self.WANTED) == [False, True]  # no score is the lowest

    def test_an_iou_of_a_half_is_enough_and_less_is_not(self) -> None:
        assert match_boxes([Box(0, 0, 20, 10)], self.WANTED) == [True]
        assert match_boxes([Box(0, 0, 20, 9)], self.WANTED) == [False]
        assert match_boxes([], self.WANTED) == []
        assert match_boxes(self.WANTED, []) == [False, False]

    @pytest.mark.parametrize(
        ("hits", "wanted", "precision"),
        [
            ([True, True], 2, 1.0),
            ([True, True], 4, 0.5),
            ([True, False, True], 2, (1 + 2 / 3) / 2),
            ([False, True, True], 2, (2 / 3 + 2 / 3) / 2),  # the best precision at that recall or beyond
            ([True, True, False, False, True], 3, (1 + 1 + 3 / 5) / 3),
            ([False, False], 2, 0.0),
            ([], 3, 0.0),
            ([], 0, 0.0),
        ],
    )
    def test_average_precision_is_the_area_under_the_curve(
        self, hits: list[bool], wanted: int, precision: float
    ) -> None:
        scored = [(1 - rank / 10, hit) for rank, hit in enumerate(hits)]
        assert average_precision(scored, wanted) == pytest.approx(precision)
        assert average_precision(scored[::-1], wanted) == pytest.approx(precision)


class TestCaptions:
    REFERENCES = (
        ["a brown dog runs through deep snow"],
        ["two children play football on a beach"],
        ["an old man reads his newspaper slowly"],
    )

    def test_the_reference_itself_scores_the_most(self) -> None:
        scores, each = caption_scores([references[0] for references in self.REFERENCES], self.REFERENCES)
        assert each == pytest.approx([10.0] * 3)
        assert scores["cider_d"].value == pytest.approx(10.0)
        assert scores["bleu_4"].value == pytest.approx(1.0)
        assert scores["cider_d"].count == scores["bleu_4"].count == 3

    def test_case_and_punctuation_do_not_count(self) -> None:
        predicted = [references[0].capitalize() + " ." for references in self.REFERENCES]
        assert caption_scores(predicted, self.REFERENCES)[0]["cider_d"].value == pytest.approx(10.0)

    @pytest.mark.parametrize("caption", ["", "zebra zebra zebra zebra zebra", "..."])
    def test_an_unrelated_caption_scores_0(self, caption: str) -> None:
        scores, _ = caption_scores([caption] * 3, self.REFERENCES)
        assert scores["cider_d"].value == 0.0
        assert scores["bleu_4"].value == pytest.approx(0.0, abs=1e-3)

    def test_one_right_word_scores_as_the_formula_says(self) -> None:
        # Each word weighs ln 3, save "a", which two references have: ln 3/2. Of the four lengths of n-grams
        # only the first says anything, and the caption is six pairs of words too short.
        cosine = 1 / math.sqrt(6 + (math.log(3 / 2) / math.log(3)) ** 2)
        expected = 10 / 4 * cosine * math.exp(-(6**2) / (2 * 6.0**2)) / 3
        scores, _ = caption_scores(["dog", "", ""], self.REFERENCES)
        assert scores["cider_d"].value == pytest.approx(expected)

    def test_bleu_and_its_interval_are_the_scorers_own(self) -> None:
        predicted = ["a brown dog runs through wet snow", "two children play", "an old man reads his book"]
        _, scorer = caption_scorers()
        for caption, references in zip(predicted, self.REFERENCES, strict=True):
            scorer += (caption, references)
        (_, _, _, expected), _ = scorer.compute_score(option="closest", verbose=0)
        bleu = caption_scores(predicted, self.REFERENCES)[0]["bleu_4"]
        assert bleu.value == pytest.approx(expected)
        assert bleu.low < bleu.value < bleu.high
