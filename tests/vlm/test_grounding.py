"""The box format: written text is read back, and any model output is parsed safely."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.vlm.grounding import (
    BINS,
    Box,
    GroundedPhrase,
    GroundedText,
    find_boxes,
    format_box,
    format_boxes,
    format_detection,
    format_grounded,
    intersection_over_union,
    is_well_formed_box,
    parse,
    with_scores,
)

A, B = Box(1, 2, 3, 4), Box(10, 20, 30, 40)

bins = st.integers(0, BINS)
boxes = st.builds(
    lambda x0, y0, x1, y1: Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), bins, bins, bins, bins
)
# Any characters but those that markup begins with.
words = st.text(st.characters(exclude_characters="<{", exclude_categories=["Cs"]))
markup = st.sampled_from(
    ["<p>", "</p>", "<delim>", "{<1><2><3><4>}", "{<-1><110><5><5>}", "{<", "{<1", "><2", ">}", "<", "{", " "]
)
model_text = st.lists(markup | st.text(max_size=5)).map("".join)


@st.composite
def grounded_texts(draw: st.DrawFn) -> GroundedText:
    """Draw words with several phrases in them, each with boxes."""
    text, phrases = "", []
    for _ in range(draw(st.integers(0, 4))):
        text += draw(st.just(" ") | words)
        phrase = draw(words.filter(bool))
        phrases.append(
            GroundedPhrase(phrase, tuple(draw(st.lists(boxes, min_size=1, max_size=3))), len(text))
        )
        text += phrase
    return GroundedText(text + draw(words), tuple(phrases))


class TestWritingAndReading:
    @given(grounded_texts())
    def test_grounded_text_is_read_back_as_it_was_written(self, grounded: GroundedText) -> None:
        written = format_grounded(grounded)
        read = parse(written)
        assert read == grounded
        assert [phrase.start for phrase in read.phrases] == [phrase.start for phrase in grounded.phrases]
        assert read.raw == written

    @given(st.lists(st.tuples(words.filter(bool), st.lists(boxes, min_size=1, max_size=3)), min_size=1))
    def test_a_detection_is_read_back_as_it_was_written(self, groups: list[tuple[str, list[Box]]]) -> None:
        phrases = tuple(GroundedPhrase(text, tuple(found)) for text, found in groups)
        read = parse(format_detection(phrases))
        assert read.phrases == phrases
        assert read.text == " ".join(phrase.text for phrase in phrases)

    @given(boxes)
    def test_a_written_box_is_well_formed_and_read_back(self, box: Box) -> None:
        assert is_well_formed_box(format_box(box))
        assert parse(format_box(box)).boxes == (box,)

    def test_the_written_forms_are_those_of_the_paper(self) -> None:
        dogs = GroundedPhrase("two dogs", (A, B))
        assert format_box(A) == "{<1><2><3><4>}"
        assert format_detection([dogs]) == "<p>two dogs</p> {<1><2><3><4>}<delim>{<10><20><30><40>}"
        grounded = GroundedText("two dogs run", (dogs,))
        assert format_grounded(grounded) == "<p>two dogs</p>{<1><2><3><4>}<delim>{<10><20><30><40>} run"

    def test_boxes_without_a_phrase_are_written_without_its_markup(self) -> None:
        grounded = GroundedText("here and there", (GroundedPhrase("", (A,), 4),))
        assert format_grounded(grounded) == "here{<1><2><3><4>} and there"

    @pytest.mark.parametrize(
        ("phrase", "message"),
        [
            pytest.param(GroundedPhrase("cat", (A,), 2), "does not stand at 2", id="another word"),
            pytest.param(GroundedPhrase("dog", (), 2), "has no box", id="no box"),
        ],
    )
    def test_a_phrase_that_does_not_fit_the_text_is_refused(
        self, phrase: GroundedPhrase, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            format_grounded(GroundedText("a dog", (phrase,)))

    def test_phrases_that_overlap_are_refused(self) -> None:
        overlapping = (GroundedPhrase("a dog", (A,), 0), GroundedPhrase("dog", (B,), 2))
        with pytest.raises(ValueError, match="does not stand at 2"):
            format_grounded(GroundedText("a dog", overlapping))


class TestReadingWhatAModelWrites:
    @given(model_text)
    def test_any_text_is_parsed_and_phrases_are_at_their_positions(self, text: str) -> None:
        read = parse(text)
        assert read.raw == text
        assert read.boxes == tuple(span.box for span in find_boxes(text))
        for phrase in read.phrases:
            assert phrase.boxes
            assert read.text[phrase.start : phrase.end] == phrase.text

    @given(model_text)
    def test_a_found_box_is_spelled_by_the_characters_it_names(self, text: str) -> None:
        for span in find_boxes(text):
            assert [found.box for found in find_boxes(text[span.start : span.end])] == [span.box]

    @pytest.mark.parametrize(
        "piece",
        [
            "{<1><2",
            "<p>",
            "{<",
            "</p>",
            "{<1><2><3><4>}",
            "{ < 1 > ",
            "{<1><2><3><4><5",
            "<p>a</p> {<9",
            "{<-",
        ],
    )
    def test_two_hundred_thousand_hostile_characters_are_read_in_linear_time(self, piece: str) -> None:
        start = time.process_time()
        parse(piece * (200_000 // len(piece)))
        find_boxes(piece * (200_000 // len(piece)))
        # Hundredths of a second; quadratic time would take minutes.
        assert time.process_time() - start < 5

    def test_a_thousand_boxes_belong_to_their_phrase(self) -> None:
        many = tuple(Box(i % 100, i // 100, 100, 100) for i in range(1000))
        read = parse(f"<p>birds</p> {format_boxes(many)} in the sky")
        assert read.phrases == (GroundedPhrase("birds", many),)
        assert read.text == "birds in the sky"

    @pytest.mark.parametrize(
        ("text", "box"),
        [
            pytest.param("{<30><40><10><20>}", B, id="both corners swapped"),
            pytest.param("{<30><20><10><40>}", B, id="left and right swapped"),
            pytest.param("{<-1><5><110><100>}", Box(0, 5, 100, 100), id="sticks out"),
            pytest.param("{<0><0><9999><9999>}", Box(0, 0, 100, 100), id="far too large"),
            pytest.param("{ <10> <20> <30> <40> }", B, id="spaces"),
            pytest.param("the dog is at {<10><20><30><40>}.", B, id="prose around"),
            pytest.param("{{<10><20><30><40>}}", B, id="two braces"),
            pytest.param("{<10><20>{<10><20><30><40>}", B, id="unfinished one before"),
        ],
    )
    def test_a_box_with_small_faults_is_read(self, text: str, box: Box) -> None:
        assert parse(text).boxes == (box,)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n",
            "the dog is on the left",
            "{<10><20><30>}",
            "{<10><20><30><40>",
            "{<10><20><30><40><50>}",
            "{<10><20><30><4",
            "<10><20><30><40>",
            "{10, 20, 30, 40}",
            "{<a><b><c><d>}",
            "{<101><101><110><110>}",
            "{<101><0><110><9>}",
            "{<0><101><9><110>}",
            "{<-5><0><-1><9>}",
            "{<0><-5><9><-1>}",
            "{<12345><0><1><1>}",
            "[10, 20, 30, 40]",
            "{<1.5><2><3><4>}",
        ],
    )
    def test_a_malformed_box_is_dropped(self, text: str) -> None:
        assert parse(text).boxes == ()
        assert find_boxes(text) == []

    @pytest.mark.parametrize(
        ("text", "words_left"),
        [
            ("a dog {<12><3", "a dog "),
            ("a dog {<", "a dog "),
            ("<p>dog</p> {<1><2> runs", "dog runs"),
            ("{<1><2<p>dog</p>", "dog"),
            ("{<1><2<delim>dog", "dog"),
            ("{<1><2><3><4><5>} dog", " dog"),
            ("a set {x} or {<x>} stays", "a set {x} or {<x>} stays"),
            ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
            (" {<1><2><3><4>}", " "),
            ("a<delim> {<1><2><3><4>}", "a "),
        ],
    )
    def test_unfinished_markup_is_dropped_and_prose_is_kept(self, text: str, words_left: str) -> None:
        assert parse(text).text == words_left


class TestPhrases:
    def test_the_space_between_two_phrases_is_kept(self) -> None:
        read = parse("<p>a man</p> {<1><2><3><4>} <p>a dog</p> {<10><20><30><40>}")
        assert read.text == "a man a dog"
        assert read.phrases == (GroundedPhrase("a man", (A,)), GroundedPhrase("a dog", (B,)))

    @pytest.mark.parametrize("joint", ["<delim>", " <delim> ", " ", "", "<delim><delim>"])
    def test_boxes_in_a_row_belong_to_one_phrase(self, joint: str) -> None:
        read = parse(f"<p>dogs</p> {{<1><2><3><4>}}{joint}{{<10><20><30><40>}} run")
        assert read.phrases == (GroundedPhrase("dogs", (A, B)),)
        assert read.text == "dogs run"

    def test_a_box_without_a_phrase_has_an_empty_one(self) -> None:
        assert parse("here {<1><2><3><4>}").phrases == (GroundedPhrase("", (A,)),)
        assert parse("{<1><2><3><4>} and {<10><20><30><40>}").phrases == (
            GroundedPhrase("", (A,)),
            GroundedPhrase("", (B,)),
        )

    def test_words_between_a_phrase_and_a_box_separate_them(self) -> None:
        assert parse("<p>a dog</p> and {<1><2><3><4>}").phrases == (GroundedPhrase("", (A,)),)

    def test_a_phrase_without_a_box_is_text(self) -> None:
        read = parse("<p>a dog</p> in <p>snow</p>{<1><2><3><4>}")
        assert (read.text, read.phrases) == ("a dog in snow", (GroundedPhrase("snow", (A,)),))

    @pytest.mark.parametrize(
        ("text", "phrase"),
        [
            pytest.param("<p>a dog {<1><2><3><4>}", "a dog", id="not closed"),
            pytest.param("a dog</p>{<1><2><3><4>}", "", id="not opened"),
            pytest.param("<p>a <p>dog</p>{<1><2><3><4>}", "dog", id="nested"),
            pytest.param("<p>a dog</p></p>{<1><2><3><4>}", "a dog", id="closed twice"),
            pytest.param("<p></p>{<1><2><3><4>}", "", id="empty"),
            pytest.param("<p>{<1><2><3><4>}", "", id="empty and not closed"),
        ],
    )
    def test_badly_nested_phrases_are_read_as_far_as_possible(self, text: str, phrase: str) -> None:
        assert parse(text).phrases == (GroundedPhrase(phrase, (A,)),)


class TestScores:
    def test_boxes_take_the_scores_in_the_order_written(self) -> None:
        phrases = (GroundedPhrase("dogs", (A, B)), GroundedPhrase("a cat", (A,), 9))
        scored = with_scores(GroundedText("dogs and a cat", phrases, "raw"), [0.25, None, 0.75])
        assert (scored.text, scored.phrases, scored.raw) == ("dogs and a cat", phrases, "raw")
        assert [box.score for box in scored.boxes] == [0.25, None, 0.75]
        assert [phrase.start for phrase in scored.phrases] == [0, 9]

    @pytest.mark.parametrize("score", [0.0, 1.0])
    def test_the_ends_of_the_range_are_scores(self, score: float) -> None:
        assert A.with_score(score).score == score

    def test_rich_shows_the_bins_and_a_score_if_there_is_one(self) -> None:
        assert [*A.__rich_repr__()] == [1, 2, 3, 4, ("score", None, None)]
        assert [*A.with_score(0.5).__rich_repr__()] == [1, 2, 3, 4, ("score", 0.5, None)]


class TestBox:
    @pytest.mark.parametrize(
        "corners", [(-1, 0, 1, 1), (0, 0, 101, 1), (2, 0, 1, 1), (0, 2, 1, 1), (0, 0, 1, 101)]
    )
    def test_corners_out_of_order_or_range_are_refused(self, corners: tuple[int, int, int, int]) -> None:
        with pytest.raises(ValueError, match="not a box within"):
            Box(*corners)

    @pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
    def test_a_score_that_is_no_probability_is_refused(self, score: float) -> None:
        with pytest.raises(ValueError, match="score"):
            A.with_score(score)

    def test_a_score_does_not_make_it_another_box(self) -> None:
        assert A.with_score(0.5) == A
        assert A.with_score(0.5).score == 0.5

    def test_fractions_truncate_and_are_clipped_to_the_image(self) -> None:
        assert Box.from_fractions(0.999, -0.5, 0.019, 1.5) == Box(1, 0, 99, 100)
        assert Box.from_pixels(64, 48, 320, 240, 640, 480) == Box(10, 10, 50, 50)

    def test_fractions_keep_their_score(self) -> None:
        assert Box.from_fractions(0.1, 0.2, 0.3, 0.4, 0.5).score == 0.5

    def test_bins_become_pixels_of_each_side(self) -> None:
        assert Box(10, 20, 30, 40).to_pixels(200, 50) == (20.0, 10.0, 60.0, 20.0)

    @given(boxes, st.integers(1, 5000), st.integers(1, 5000))
    def test_pixels_are_within_the_image(self, box: Box, width: int, height: int) -> None:
        x0, y0, x1, y1 = box.to_pixels(width, height)
        assert 0 <= x0 <= x1 <= width
        assert 0 <= y0 <= y1 <= height

    @given(boxes, boxes)
    def test_overlap_is_symmetric_and_whole_only_with_itself(self, first: Box, second: Box) -> None:
        overlap = first.iou(second)
        assert overlap == second.iou(first)
        assert 0.0 <= overlap <= 1.0
        assert (overlap == 1.0) == (first == second and first.area > 0)

    def test_overlap_is_intersection_over_union(self) -> None:
        assert Box(0, 0, 20, 10).iou(Box(10, 0, 30, 10)) == pytest.approx(1 / 3)
        assert intersection_over_union((0, 0, 0, 0), (0, 0, 0, 0)) == 0.0
        assert intersection_over_union((0, 0, 0.5, 0.5), (0, 0, 0.5, 0.5)) == 1.0

    @pytest.mark.parametrize("other", [Box(20, 0, 30, 10), Box(0, 20, 10, 30), Box(10, 0, 20, 10)])
    def test_boxes_apart_do_not_overlap(self, other: Box) -> None:
        assert Box(0, 0, 10, 10).iou(other) == 0.0

    @pytest.mark.parametrize(
        ("text", "well_formed"),
        [
            ("{<0><0><100><100>}", True),
            ("{<0><0><101><100>}", False),
            ("{<3><0><1><1>}", False),
            ("{<01><0><1><1>}", False),
            ("{<0><0><1><1>} ", False),
            (" {<0><0><1><1>}", False),
            ("{<0><0><1>}", False),
            ("{<0> <0><1><1>}", False),
            ("{<0><0><1><1>}{<0><0><1><1>}", False),
            ("{<٣><4><5><6>}", False),
            ("", False),
        ],
    )
    def test_well_formed_is_exactly_the_form_of_training(self, text: str, well_formed: bool) -> None:
        assert is_well_formed_box(text) is well_formed
