"""Annotated photos and the samples built from them: clear errors, no uncertain expressions."""

from __future__ import annotations

import json
import math
import random
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.collator import NO_TASK, TASKS, SharedImageCollator, shared_prefix_mask
from assistant.vlm.data.colours import colour_shares, with_colours
from assistant.vlm.data.configuration import MixtureConfig
from assistant.vlm.data.expressions import ExpressionKind, expressions
from assistant.vlm.data.instructions import BUILDERS, Sample, ground_caption
from assistant.vlm.data.lengths import LengthBuckets
from assistant.vlm.data.mixture import Example, InstructionMixture, open_mixture
from assistant.vlm.data.nouns import class_of, mentions, noun_phrases, plural
from assistant.vlm.data.photos import DetectedObject, Photo, PhotoFolder, Phrase, Question
from assistant.vlm.data.records import ImageReference
from assistant.vlm.data.shuffling import shuffled
from assistant.vlm.data.views import View, cropped, mirrored, random_window
from assistant.vlm.errors import DataError
from assistant.vlm.grounding import Box, format_box, is_well_formed_box, parse
from assistant.vlm.tasks import ABSENT_ANSWER, Task, Turn, build_prompt, instruction, split_identifier

from .tiny import dog_records, picture, tiny_model, tiny_processor, write_photo_folder

Fractions = tuple[float, float, float, float]
LEFT, MIDDLE, RIGHT = (0.0, 0.2, 0.2, 0.8), (0.4, 0.2, 0.6, 0.8), (0.75, 0.2, 0.95, 0.8)


def thing(box: Fractions, label: str = "dog", score: float = 0.9) -> DetectedObject:
    return DetectedObject(label=label, score=score, box=box)


def photo(*objects: DetectedObject, **fields: Any) -> Photo:
    return Photo(image="a.png", source="generated", split="train", objects=objects, **fields)


def texts(seen: Photo) -> list[str]:
    return [item.text for item in expressions(seen)]


class TestPhotoFolder:
    def test_a_picture_is_read_from_its_shard(self, tmp_path: Path) -> None:
        folder = PhotoFolder(write_photo_folder(tmp_path, dog_records(3)), "train")
        assert [item.image for item in folder.photos] == ["dog-0.png", "dog-1.png", "dog-2.png"]
        assert folder.read(folder.photos[2]).tobytes() == picture(2).tobytes()

    def test_only_photos_of_the_split_are_taken(self, tmp_path: Path) -> None:
        records = dog_records(2)
        records[1]["split"] = "test"
        folder = PhotoFolder(write_photo_folder(tmp_path, records), "test")
        assert [item.image for item in folder.photos] == ["dog-1.png"]

    def test_a_folder_without_annotations_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no .*annotations\.jsonl"):
            PhotoFolder(tmp_path, "train")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            pytest.param("{broken", "not JSON", id="not JSON"),
            pytest.param("", "not JSON", id="empty line"),
            pytest.param("[" * 200_000, "not JSON", id="nested deeply"),
            pytest.param(
                '{"image": "a", "source": "s", "split": "train", "captoins": []}', "captoins", id="typo"
            ),
            pytest.param('{"image": "a", "split": "train"}', "source: Field required", id="missing field"),
            pytest.param(
                '{"image": "a", "source": "s", "split": "t", '
                '"objects": [{"label": "dog", "score": 2, "box": [0, 0, 1, 1]}]}',
                r"objects\.0\.score",
                id="score above one",
            ),
            pytest.param(
                '{"image": "a", "source": "s", "split": "t", '
                '"objects": [{"label": "dog", "score": 1, "box": [0, 0, 1]}]}',
                r"objects\.0\.box\.3",
                id="three corners",
            ),
            pytest.param(
                '{"image": "dog-0.png", "source": "s", "split": "t", '
                '"objects": [{"label": "dog", "score": 1, "box": [0.5, 0.1, 0.2, 0.3]}]}',
                r"objects\.0\.box: \(0\.5, 0\.1, 0\.2, 0\.3\) is not left, top, right, bottom",
                id="width and height",
            ),
        ],
    )
    def test_a_wrong_line_is_named_with_file_and_number(
        self, tmp_path: Path, line: str, message: str
    ) -> None:
        write_photo_folder(tmp_path, dog_records(1))
        path = tmp_path / "annotations.jsonl"
        path.write_text(path.read_text() + line + "\n")
        with pytest.raises(DataError, match=rf"annotations\.jsonl:2: .*{message}") as caught:
            PhotoFolder(tmp_path, "train")
        assert "\n" not in str(caught.value)

    def test_a_split_without_photos_is_named(self, tmp_path: Path) -> None:
        write_photo_folder(tmp_path, dog_records(1))
        with pytest.raises(DataError, match="no photo in the split 'validation'"):
            PhotoFolder(tmp_path, "validation")

    def test_a_picture_in_no_shard_is_named(self, tmp_path: Path) -> None:
        write_photo_folder(tmp_path, dog_records(1))
        path = tmp_path / "annotations.jsonl"
        path.write_text(path.read_text() + path.read_text().replace("dog-0", "dog-9"))
        with pytest.raises(DataError, match=r"annotations\.jsonl:2: image: dog-9\.png is in no shard"):
            PhotoFolder(tmp_path, "train")

    def test_a_damaged_shard_is_named(self, tmp_path: Path) -> None:
        write_photo_folder(tmp_path, dog_records(3))
        shard = tmp_path / "photos-0.tar"
        shard.write_bytes(shard.read_bytes()[:1000])
        with pytest.raises(DataError, match=r"photos-0\.tar is no whole tar file"):
            PhotoFolder(tmp_path, "train")


class TestExpressions:
    def test_the_only_dog_is_the_dog(self) -> None:
        (only,) = expressions(photo(thing(LEFT)))
        assert (only.text, only.definite, only.kind) == ("dog", "the dog", ExpressionKind.CLASS)
        assert only.box == Box(0, 20, 20, 80)

    def test_two_dogs_are_distinguished_by_side(self) -> None:
        found = expressions(photo(thing(RIGHT), thing(LEFT)))
        assert {item.text: item.box for item in found} == {
            "dog on the left": Box(0, 20, 20, 80),
            "dog on the right": Box(75, 20, 95, 80),
        }

    def test_only_the_outer_two_of_three_have_a_side(self) -> None:
        assert texts(photo(thing(LEFT), thing(MIDDLE), thing(RIGHT))) == [
            "dog on the left",
            "dog on the right",
        ]

    def test_a_shared_side_gives_no_expression(self) -> None:
        near = (0.05, 0.0, 0.3, 0.3)
        assert texts(photo(thing(LEFT), thing(near), thing(RIGHT))) == ["dog on the right"]

    @pytest.mark.parametrize(
        "objects",
        [
            pytest.param([], id="nothing"),
            pytest.param([thing(LEFT, score=0.49)], id="one in doubt"),
            pytest.param([thing(LEFT), thing(RIGHT, score=0.3)], id="a faint rival"),
            pytest.param([thing(LEFT), thing((0.05, 0.0, 0.3, 0.3))], id="two side by side"),
            pytest.param([thing((0.2 * i, 0, 0.2 * i + 0.1, 1)) for i in range(5)], id="a crowd"),
        ],
    )
    def test_uncertain_photos_give_no_expression(self, objects: list[DetectedObject]) -> None:
        assert texts(photo(*objects)) == []

    def test_a_rival_with_a_low_score_does_not_count(self) -> None:
        assert texts(photo(thing(LEFT), thing(RIGHT, score=0.2))) == ["dog"]

    def test_duplicate_boxes_count_once(self) -> None:
        found = expressions(photo(thing(LEFT, score=0.8), thing((0.0, 0.22, 0.2, 0.8), score=0.9)))
        assert [item.box for item in found] == [Box(0, 22, 20, 80)]

    def test_objects_of_other_classes_are_no_rivals(self) -> None:
        assert texts(photo(thing(LEFT), thing(RIGHT, "cat"))) == ["dog", "cat"]

    def test_a_noun_that_captions_agree_on_is_used(self) -> None:
        girl = thing(LEFT, "person")
        assert texts(photo(girl, captions=("a little girl runs", "the girl is happy", "a child"))) == [
            "person",
            "girl",
        ]

    @pytest.mark.parametrize(
        "captions", [("a girl runs", "a boy runs"), ("a girl",), ("a girl", "a girl", "a boy", "a boy"), ()]
    )
    def test_a_noun_that_captions_do_not_agree_on_is_not_used(self, captions: tuple[str, ...]) -> None:
        assert texts(photo(thing(LEFT, "person"), captions=captions)) == ["person"]

    def test_the_name_of_the_photo_means_its_one_central_thing(self) -> None:
        central = (0.2, 0.2, 0.8, 0.8)
        assert texts(photo(thing(central), name="golden retriever")) == ["golden retriever"]
        assert texts(photo(thing(LEFT), name="golden retriever")) == ["dog"]
        assert texts(photo(thing(central), thing(LEFT, "cat"), name="golden retriever")) == ["dog", "cat"]


class TestColours:
    @staticmethod
    def coloured(box: Fractions, label: str = "dog", **shares: float) -> DetectedObject:
        return DetectedObject(label=label, score=0.9, box=box, colours=shares)

    @pytest.mark.parametrize(
        ("colour", "name"),
        [
            ("black", "black"),
            ("white", "white"),
            ("#888888", "gray"),
            ("red", "red"),
            ("#7a1010", "red"),
            ("orange", "orange"),
            ("#6b4423", "brown"),
            ("yellow", "yellow"),
            ("darkgreen", "green"),
            ("#2060c0", "blue"),
            ("purple", "purple"),
            ("#6a0dad", "purple"),
            ("hotpink", "pink"),
        ],
    )
    def test_colours_go_by_their_basic_names(self, colour: str, name: str) -> None:
        assert colour_shares(Image.new("RGB", (40, 40), colour), thing((0.1, 0.1, 0.9, 0.9))) == {name: 1.0}

    def test_the_middle_of_the_box_is_what_counts(self) -> None:
        image = Image.new("RGB", (100, 100), "red")
        image.paste("blue", (40, 40, 60, 60))
        assert colour_shares(image, thing((0.3, 0.3, 0.7, 0.7))) == {"blue": 1.0}
        half = colour_shares(image, thing((0.2, 0.4, 0.6, 0.6)))
        assert half == pytest.approx({"red": 0.5, "blue": 0.5}, abs=0.1)

    def test_a_box_without_pixels_has_no_colour(self) -> None:
        assert colour_shares(Image.new("RGB", (10, 10)), thing((0.5, 0.5, 0.5, 0.9))) == {}

    def test_things_of_one_class_are_distinguished_by_colour(self) -> None:
        found = expressions(photo(self.coloured(LEFT, black=0.9), self.coloured(RIGHT, brown=0.8, black=0.1)))
        assert {item.text: item.box for item in found if item.kind is ExpressionKind.COLOUR} == {
            "brown dog": Box(75, 20, 95, 80),
            "black dog": Box(0, 20, 20, 80),
        }

    def test_a_person_is_distinguished_by_clothes(self) -> None:
        people = self.coloured(LEFT, "person", red=0.7), self.coloured(RIGHT, "person", black=0.9)
        (only,) = (item for item in expressions(photo(*people)) if item.kind is ExpressionKind.COLOUR)
        assert (only.definite, only.box) == ("the person in red", Box(0, 20, 20, 80))

    @pytest.mark.parametrize(
        "others",
        [
            pytest.param({"black": 0.7}, id="the same colour"),
            pytest.param({"black": 0.2, "white": 0.8}, id="some of the same colour"),
            pytest.param({}, id="not measured"),
        ],
    )
    def test_an_uncertain_colour_distinguishes_nothing(self, others: Any) -> None:
        found = expressions(photo(self.coloured(LEFT, black=0.9), self.coloured(RIGHT, **others)))
        assert not any("black" in item.text for item in found)

    @pytest.mark.parametrize(("share", "asked"), [(0.75, True), (0.65, False)])
    def test_a_colour_is_asked_for_if_it_is_certain(self, share: float, asked: bool) -> None:
        seen = photo(self.coloured(MIDDLE, "car", red=share, black=1 - share))
        answers = [
            sample.turn.answer
            for sample in BUILDERS[Task.VQA](seen, random.Random(0))
            if "what color is the car?" in sample.turn.user
        ]
        assert answers == (["red"] if asked else [])

    def test_the_colours_of_a_folder_are_measured_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = PhotoFolder(write_photo_folder(tmp_path / "photos", dog_records(2)), "train")
        measured = with_colours(folder, tmp_path / "cache")
        assert all(item.objects[0].colours for item in measured)
        assert not any(item.objects[0].colours for item in folder.photos)
        monkeypatch.setattr(PhotoFolder, "read", None)
        assert with_colours(folder, tmp_path / "cache") == measured

    def test_a_damaged_picture_has_no_colours(self, tmp_path: Path) -> None:
        path = write_photo_folder(tmp_path / "photos", dog_records(2))
        (shard,) = path.glob("*.tar")
        content = bytearray(shard.read_bytes())
        content[512:600] = bytes(88)
        shard.write_bytes(content)
        first, second = with_colours(PhotoFolder(path, "train"), tmp_path / "cache")
        assert (first.objects[0].colours, bool(second.objects[0].colours)) == ({}, True)

    def test_views_keep_the_colours(self) -> None:
        seen = photo(self.coloured((0.4, 0.4, 0.6, 0.6), black=0.9))
        view = View(mirror=True, window=(0.2, 0.2, 0.9, 0.9)).photo(seen)
        assert view.objects[0].colours == {"black": 0.9}


class TestNouns:
    def test_phrases_keep_their_words_and_place(self) -> None:
        (phrase,) = noun_phrases("Look: a small brown puppy in the snow")
        assert (phrase.text, phrase.start, phrase.noun, phrase.label) == (
            "a small brown puppy",
            6,
            "puppy",
            "dog",
        )

    @pytest.mark.parametrize(
        "caption", ["two dogs run", "dogs", "hot dogs", "a dog house", "the bus driver", "a snowy hill", ""]
    )
    def test_plurals_compounds_and_other_things_are_left_out(self, caption: str) -> None:
        assert noun_phrases(caption) == []

    def test_mentions_are_found_in_any_form(self) -> None:
        assert mentions("Three PUPPIES play", "dog")
        assert mentions("two men", "person")
        assert not mentions("a dogma", "dog")

    @pytest.mark.parametrize(
        ("noun", "many"),
        [
            ("dog", "dogs"),
            ("bus", "buses"),
            ("puppy", "puppies"),
            ("boy", "boys"),
            ("wine glass", "wine glasses"),
        ],
    )
    def test_plural(self, noun: str, many: str) -> None:
        assert plural(noun) == many

    @pytest.mark.parametrize(
        ("expression", "label"),
        [("the man in red", "person"), ("two dogs", "dog"), ("the hot dog", "hot dog"), ("the sky", None)],
    )
    def test_the_class_that_an_expression_names(self, expression: str, label: str | None) -> None:
        assert class_of(expression) == label


class TestViews:
    def test_mirroring_flips_boxes_and_words(self) -> None:
        seen = photo(
            thing(LEFT),
            captions=("A dog on the left of the brightest light",),
            questions=(Question(question="Is it on the right?", answer=("left", "yes")),),
        )
        image = picture(0)
        flipped, mirror = mirrored(seen), View(mirror=True).image(image)
        assert flipped.objects[0].box == pytest.approx((0.8, 0.2, 1.0, 0.8))
        assert flipped.captions == ("A dog on the right of the brightest light",)
        assert flipped.questions[0] == Question(question="Is it on the left?", answer=("right", "yes"))
        assert mirror.getpixel((0, 0)) == image.getpixel((image.width - 1, 0))
        assert seen.objects[0].box == LEFT

    @pytest.mark.parametrize(
        ("text", "mirrored_"),
        [
            ("the leftmost dog", "the rightmost dog"),
            ("the left-hand side", "the right-hand side"),
            ("leftover food in bright light", "leftover food in bright light"),
            ("a dog right next to a man on the right", "a dog right next to a man on the left"),
        ],
    )
    def test_words_that_only_look_like_sides_are_kept(self, text: str, mirrored_: str) -> None:
        assert mirrored(photo(captions=(text,))).captions == (mirrored_,)

    def test_a_cropped_box_still_encloses_its_thing(self) -> None:
        image = Image.new("L", (200, 100))
        image.paste(255, (80, 40, 120, 60))
        for seed in range(30):
            part = View(window=random_window(random.Random(seed)))
            view, seen = part.photo(photo(thing((0.4, 0.4, 0.6, 0.6)))), part.image(image)
            assert seen.width >= 99
            for item in view.objects:
                drawn = seen.getbbox()
                assert drawn is not None
                scale = (seen.width, seen.height) * 2
                box = [value * side for value, side in zip(item.box, scale, strict=True)]
                assert box == pytest.approx(drawn, abs=1.5)

    def test_what_a_crop_cuts_off_is_uncertain_or_dropped(self) -> None:
        scores: dict[float, int] = {}
        for seed in range(200):
            view = cropped(photo(thing(LEFT)), random_window(random.Random(seed)))
            for item in view.objects:
                scores[item.score] = scores.get(item.score, 0) + 1
        assert set(scores) == {0.9, 0.3}
        assert sum(scores.values()) < 200

    def test_a_crop_drops_annotations_of_the_whole_photo(self) -> None:
        question = Question(question="what?", answer=("dog",))
        seen = photo(thing(LEFT), captions=("a dog",), questions=(question,), name="dog")
        view = cropped(seen, random_window(random.Random(0)))
        assert (view.captions, view.questions, view.name) == ((), (), None)


class TestInstructions:
    def test_a_caption_is_grounded_where_phrase_and_box_match(self) -> None:
        seen = photo(thing(LEFT), thing(RIGHT, "person"))
        grounded = ground_caption(seen, "a brown dog looks at a man")
        assert [(item.text, item.boxes) for item in grounded.phrases] == [
            ("a brown dog", (Box(0, 20, 20, 80),)),
            ("a man", (Box(75, 20, 95, 80),)),
        ]

    @pytest.mark.parametrize(
        ("objects", "caption"),
        [
            pytest.param([thing(LEFT), thing(RIGHT)], "a dog runs", id="two dogs"),
            pytest.param([thing(LEFT)], "a dog and another: a puppy", id="two phrases"),
            pytest.param([thing(LEFT, score=0.3)], "a dog runs", id="a faint dog"),
            pytest.param([thing(LEFT, "cat")], "a dog runs", id="another thing"),
        ],
    )
    def test_an_uncertain_caption_is_not_grounded(self, objects: list[DetectedObject], caption: str) -> None:
        assert ground_caption(photo(*objects), caption).phrases == ()

    def test_answers_have_boxes_as_text(self) -> None:
        seen = photo(thing(LEFT), thing(RIGHT), thing(MIDDLE, "cat"), captions=("a cat sits",))
        random_ = random.Random(0)
        referred = BUILDERS[Task.REFER](seen, random_)
        assert len(referred) == 3
        assert all(is_well_formed_box(sample.turn.answer or "") for sample in referred)
        detected = [
            parse(sample.turn.answer or "").phrases for sample in BUILDERS[Task.DETECTION](seen, random_)
        ]
        assert [len(group[0].boxes) for group in detected] == [2, 1, 2]
        (grounded,) = BUILDERS[Task.GROUNDING](seen, random_)
        assert grounded.turn.answer == "<p>a cat</p>{<40><20><60><80>} sits"
        identified = {sample.turn.answer for sample in BUILDERS[Task.IDENTIFY](seen, random_)}
        assert identified == {"dog on the left", "dog on the right", "cat"}

    @pytest.mark.parametrize(
        "objects",
        [
            pytest.param([thing((0.15 * i, 0, 0.15 * i + 0.1, 1)) for i in range(6)], id="a crowd"),
            pytest.param([thing(LEFT), thing(RIGHT, score=0.3)], id="a faint one"),
        ],
    )
    def test_possibly_incomplete_boxes_are_neither_counted_nor_asked_for(
        self, objects: list[DetectedObject]
    ) -> None:
        assert BUILDERS[Task.DETECTION](photo(*objects), random.Random(0)) == []
        assert BUILDERS[Task.VQA](photo(*objects), random.Random(0)) == []

    @pytest.mark.parametrize(
        ("objects", "name", "text"),
        [
            pytest.param([], "espresso", "an espresso", id="named"),
            pytest.param([thing(LEFT)], None, "a dog", id="one thing"),
            pytest.param(
                [thing(LEFT), thing(RIGHT), thing(MIDDLE, "cat")],
                None,
                "2 dogs and a cat",
                id="several",
            ),
            pytest.param([thing(LEFT, score=0.3)], None, None, id="in doubt"),
            pytest.param([], None, None, id="nothing"),
        ],
    )
    def test_an_uncaptioned_photo_gets_a_caption_under_another_question(
        self, objects: list[DetectedObject], name: str | None, text: str | None
    ) -> None:
        made = BUILDERS[Task.CAPTION](photo(*objects, name=name), random.Random(0))
        assert [sample.turn.answer for sample in made] == ([] if text is None else [text])
        assert all(sample.task is None for sample in made)

    def test_a_crop_of_a_photo_with_phrases_is_not_captioned_from_boxes(self) -> None:
        phrase = Phrase(text="a dog", caption=0, start=0, type="animals", chain="1", boxes=(LEFT,))
        assert BUILDERS[Task.CAPTION](photo(thing(LEFT), phrases=(phrase,)), random.Random(0)) == []

    def test_people_are_not_counted_from_boxes(self) -> None:
        seen = photo(thing(LEFT, "person"), thing(RIGHT, "person"), thing(MIDDLE))
        asked = {sample.turn.user for sample in BUILDERS[Task.VQA](seen, random.Random(0))}
        counting = [words for words in asked if "how many" in words or "count" in words]
        assert len(counting) == 1
        assert "dogs" in counting[0]


class TestMixture:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return write_photo_folder(tmp_path, dog_records(4))

    @staticmethod
    def mixture(folder: Path, length: int, seed: int, **config: Any) -> InstructionMixture:
        return open_mixture(folder, "train", MixtureConfig(**config), length, seed)

    def test_an_example_depends_on_seed_and_index_alone(self, folder: Path) -> None:
        first, second = (self.mixture(folder, 8, seed=3) for _ in range(2))
        forwards = [first[index] for index in range(8)]
        backwards = [second[index] for index in reversed(range(8))][::-1]
        assert [item.samples for item in forwards] == [item.samples for item in backwards]
        assert [item.image.tobytes() for item in forwards] == [item.image.tobytes() for item in backwards]

    def test_a_longer_run_begins_with_the_same_examples(self, folder: Path) -> None:
        short, long = (self.mixture(folder, length, seed=3) for length in (5, 500))
        assert [short[index].samples for index in range(5)] == [long[index].samples for index in range(5)]

    def test_photos_are_drawn_regularly_by_weight(self, tmp_path: Path) -> None:
        records = dog_records(4)
        records[3]["objects"] = []  # nothing to refer to
        mixture = self.mixture(write_photo_folder(tmp_path, records), 100, seed=0)
        drawn = [mixture.draw(index).picture for index in range(100)]
        counts = sorted(drawn.count(picture) for picture in set(drawn))
        assert counts[0] in range(8, 13)
        assert all(count in range(28, 33) for count in counts[1:])
        assert all(len(set(drawn[start : start + 8])) >= 3 for start in range(92))

    def test_questions_can_be_asked_in_one_conversation(self, folder: Path) -> None:
        mixture = self.mixture(folder, 20, seed=0, dialogue=1.0)
        for index in range(20):
            (sample,) = mixture[index].samples
            tasks = [item.task for item in sample.exchanges]
            asked = [item.turn.user for item in sample.exchanges]
            assert len(set(asked)) == len(asked) <= 6
            assert max(map(tasks.count, (Task.CAPTION, Task.GROUNDING, None))) <= 1
        assert len({item.task for item in sample.exchanges}) > 1

    def test_half_of_the_examples_are_conversations_at_that_probability(self, folder: Path) -> None:
        mixture = self.mixture(folder, 60, seed=0, dialogue=0.5)
        joined = sum(len(mixture.draw(index).samples) == 1 for index in range(60))
        assert joined in range(18, 43)

    def test_another_seed_gives_another_stream(self, folder: Path) -> None:
        streams = [
            [json.dumps(str(item.samples)) for item in map(mixture.__getitem__, range(8))]
            for mixture in (self.mixture(folder, 8, seed) for seed in (0, 1))
        ]
        assert streams[0] != streams[1]

    def test_no_task_has_more_samples_than_its_maximum(self, folder: Path) -> None:
        mixture = self.mixture(folder, 5, seed=0, per_task={Task.REFER: 1}, crop=0.0, absent=0.0)
        assert [[sample.task for sample in mixture[index].samples] for index in range(5)] == [
            [Task.REFER]
        ] * 5

    def test_each_task_that_can_refuse_asks_for_one_absent_thing(self, folder: Path) -> None:
        asked = {Task.REFER: 1, Task.DETECTION: 1, Task.VQA: 0, Task.IDENTIFY: 1}
        mixture = self.mixture(folder, 20, seed=0, per_task=asked, crop=0.0, absent=1.0)
        for index in range(20):
            samples = mixture[index].samples
            denied = [it for it in samples if it.turn.answer == ABSENT_ANSWER]
            assert [it.task for it in denied] == [Task.REFER, Task.DETECTION]
            assert [it.task for it in samples if it not in denied] == [
                Task.REFER,
                Task.DETECTION,
                Task.IDENTIFY,
            ]

    def test_a_crop_is_not_asked_for_absent_things(self, folder: Path) -> None:
        mixture = self.mixture(folder, 40, seed=0, per_task={Task.REFER: 1}, crop=1.0, absent=1.0)
        draws = [mixture.draw(index) for index in range(40)]
        absent_sample = {
            draw.view.window is None: {it.turn.answer == ABSENT_ANSWER for it in draw.samples}
            for draw in draws
        }
        assert absent_sample == {True: {True, False}, False: {False}}

    def test_photos_without_a_sample_for_any_task_are_dropped(self, tmp_path: Path) -> None:
        records = dog_records(2)
        records[1]["objects"] = []  # captions only: nothing to refer to
        mixture = self.mixture(write_photo_folder(tmp_path, records), 20, seed=0, per_task={Task.REFER: 3})
        assert {sample.task for index in range(20) for sample in mixture.draw(index).samples} == {Task.REFER}
        assert len({mixture.draw(index).picture for index in range(20)}) == 1

    def test_no_example_is_empty_if_a_crop_has_no_sample(self, folder: Path) -> None:
        mixture = self.mixture(folder, 200, seed=0, per_task={Task.VQA: 1}, crop=1.0, absent=0.0)
        draws = [mixture.draw(index) for index in range(200)]
        assert {draw.view.window is None for draw in draws} == {True, False}
        assert all(draw.samples for draw in draws)

    @pytest.mark.parametrize("dialogue", [0.0, 1.0])
    def test_without_identifiers_the_same_is_asked_in_words_alone(
        self, folder: Path, dialogue: float
    ) -> None:
        def asked(identifiers: bool) -> list[str]:
            mixture = self.mixture(folder, 20, seed=0, dialogue=dialogue, identifiers=identifiers)
            drawn = (sample for index in range(20) for sample in mixture.draw(index).samples)
            return [item.turn.user for sample in drawn for item in sample.exchanges]

        with_them, without = asked(True), asked(False)
        assert any(words.startswith("[refer] ") for words in with_them)
        assert [split_identifier(words)[1] for words in with_them] == without
        assert not any("[" in words for words in without)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"dialogue": 2},
            {"mirror": -0.1},
            {"crop": -1},
            {"absent": 1.5},
            {"grounded_weight": -1},
            {"grounded_weight": math.inf},
            {"per_picture": 0},
            {"per_task": {Task.REFER: -1}},
            {"ratios": {"photos": math.nan}},
        ],
        ids=str,
    )
    def test_invalid_values_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(
            ValidationError, match=f"1 validation error for MixtureConfig\n{next(iter(wrong))}"
        ):
            MixtureConfig(**wrong)

    def test_lengths_are_estimated_without_reading_an_image(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mixture = self.mixture(folder, 8, seed=3)
        processor = tiny_processor()
        tokens = [
            sum(len(processor.encode(build_prompt([item.turn], image=False)).input_ids) for item in samples)
            for samples in (mixture[index].samples for index in range(8))
        ]
        monkeypatch.setattr(ImageReference, "read", None)
        lengths = [mixture.length_of(index) for index in range(8)]
        assert statistics.correlation(lengths, tokens) > 0.8


class TestLengthBuckets:
    class Lengths:
        """A dataset of lengths only."""

        def __init__(self, lengths: list[int]) -> None:
            self.lengths = lengths

        def __len__(self) -> int:
            return len(self.lengths)

        def length_of(self, index: int) -> int:
            return self.lengths[index]

    @pytest.fixture
    def lengths(self) -> list[int]:
        return random.Random(0).choices(range(1000), k=150)

    def order(self, lengths: list[int], seed: int = 0) -> list[int]:
        return list(LengthBuckets(self.Lengths(lengths), 4, seed))

    def test_every_example_comes_once_and_stays_in_its_window(self, lengths: list[int]) -> None:
        order = self.order(lengths)
        assert sorted(order) == list(range(150))
        assert sorted(order[:64]) == list(range(64))
        assert sorted(order[64:128]) == list(range(64, 128))

    def test_a_batch_holds_examples_of_similar_length(self, lengths: list[int]) -> None:
        def padded(order: list[int]) -> int:
            rows = [lengths[index] for index in order]
            return sum(4 * max(rows[first : first + 4]) for first in range(0, len(rows), 4))

        order = self.order(lengths)
        assert padded(order) < 1.15 * sum(lengths)
        assert padded(list(range(150))) > 1.4 * sum(lengths)
        ordered = sorted(lengths[:64])
        batches = {tuple(lengths[index] for index in order[first : first + 4]) for first in range(0, 64, 4)}
        assert batches == {tuple(ordered[first : first + 4]) for first in range(0, 64, 4)}

    def test_batches_do_not_come_in_the_order_of_length(self, lengths: list[int]) -> None:
        firsts = [lengths[index] for index in self.order(lengths)[:64:4]]
        assert firsts != sorted(firsts)

    def test_the_order_depends_on_the_seed(self, lengths: list[int]) -> None:
        sampler = LengthBuckets(self.Lengths(lengths), 4, seed=0)
        assert list(sampler) == list(sampler) == self.order(lengths)
        assert self.order(lengths) != self.order(lengths, seed=1)

    def test_more_examples_change_nothing_before_them(self, lengths: list[int]) -> None:
        assert self.order(lengths + [5] * 90)[:128] == self.order(lengths)[:128]


class TestShuffling:
    @pytest.mark.parametrize("count", [1, 2, 5, 64, 1000])
    def test_every_pass_is_another_permutation(self, count: int) -> None:
        passes = [[shuffled(epoch * count + place, count, 7) for place in range(count)] for epoch in range(2)]
        assert all(sorted(order) == list(range(count)) for order in passes)
        assert count <= 5 or passes[0] != passes[1] != list(range(count))

    def test_the_seed_determines_the_order(self) -> None:
        orders = [[shuffled(place, 100, seed) for place in range(100)] for seed in (0, 0, 1)]
        assert orders[0] == orders[1] != orders[2]


class TestSharedImage:
    SAMPLES = (
        Sample(Task.CAPTION, Turn(instruction(Task.CAPTION), "a dog is running")),
        Sample(Task.REFER, Turn(instruction(Task.REFER, "the dog"), format_box(Box(1, 2, 3, 4)))),
        Sample(None, Turn("how many people are there?", "two")),
    )

    def test_the_loss_equals_that_of_separate_samples(self) -> None:
        processor = tiny_processor()
        talk = Sample(None, self.SAMPLES[2].turn, follow_ups=self.SAMPLES[:2])
        examples = [
            Example(picture(0), list(self.SAMPLES)),
            Example(picture(1), [self.SAMPLES[1], talk]),
            Example(None, [self.SAMPLES[2], talk]),
        ]
        for attention in ("sdpa", "eager"):
            model = tiny_model()
            model.set_attn_implementation(attention)
            with torch.no_grad():
                packed = model(**SharedImageCollator(processor)(examples)).loss
                alone = [
                    self.loss_sum(model, processor, example.image, sample)
                    for example in examples
                    for sample in example.samples
                ]
            losses, tokens = zip(*alone, strict=True)
            torch.testing.assert_close(packed, torch.stack(losses).sum() / sum(tokens), rtol=1e-5, atol=1e-5)

    @staticmethod
    def loss_sum(
        model: torch.nn.Module, processor: MiniGPTv2Processor, image: Image.Image | None, sample: Sample
    ) -> tuple[torch.Tensor, int]:
        turns = [item.turn for item in sample.exchanges]
        encoded = processor.encode(build_prompt(turns, image=image is not None))
        labels = torch.tensor([encoded.labels])
        output = model(
            input_ids=torch.tensor([encoded.input_ids]),
            labels=labels,
            pixel_values=None if image is None else processor.pixels([image]),
            num_items_in_batch=1,
        )
        return output.loss, int((labels != -100).sum())

    def test_rows_are_padded_to_few_lengths_without_labels(self) -> None:
        processor = tiny_processor()
        batch = SharedImageCollator(processor)([Example(picture(0), list(self.SAMPLES))])
        assert batch["input_ids"].shape[1] % 32 == 0
        assert batch["input_ids"].shape == batch["labels"].shape == batch["position_ids"].shape
        padding = batch["input_ids"] == processor.tokenizer.pad_token_id
        assert (batch["labels"][padding] == -100).all()
        assert (batch["input_ids"] == processor.image_token_id).sum() == processor.image_tokens

    def test_what_is_too_long_is_cut_off(self) -> None:
        processor = tiny_processor()
        long = Sample(None, Turn("tell me a story", "a dog " * 3000), follow_ups=self.SAMPLES[:1])
        batch = SharedImageCollator(processor)([Example(picture(0), [long, self.SAMPLES[1]])])
        assert {batch[name].shape for name in ("input_ids", "labels", "tasks")} == {(1, 2048)}
        assert (batch["labels"][0] != -100).sum() > 2000
        assert not (batch["labels"] == processor.tokenizer.eos_token_id).any()

    def test_every_answer_has_the_index_of_its_task(self) -> None:
        processor = tiny_processor()
        talk = Sample(None, self.SAMPLES[2].turn, follow_ups=self.SAMPLES[1:2])
        batch = SharedImageCollator(processor)([Example(picture(0), [self.SAMPLES[0], talk])])
        labels, tasks = batch["labels"][0], batch["tasks"][0]
        assert ((labels == -100) == (tasks == NO_TASK)).all()
        answers = {
            task: processor.decode_answer(labels[tasks == number].tolist())
            for number, task in enumerate(TASKS)
            if (tasks == number).any()
        }
        assert answers == {Task.CAPTION: "a dog is running", None: "two", Task.REFER: "{<1><2><3><4>}"}

    def test_a_batch_without_a_picture_has_no_pixels(self) -> None:
        processor = tiny_processor()
        batch = SharedImageCollator(processor)([Example(None, [self.SAMPLES[2]])])
        assert "pixel_values" not in batch
        assert not (batch["input_ids"] == processor.image_token_id).any()
        assert batch["input_ids"][0, 0] == processor.tokenizer.bos_token_id

    def test_a_sample_attends_to_the_image_and_itself_only(self) -> None:
        mask = shared_prefix_mask(torch.tensor([[0, 0, 1, 1, 2, -1, -1]]))[0, 0].int().tolist()
        assert mask == [
            [1, 0, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0, 0],
            [1, 1, 1, 0, 0, 0, 0],
            [1, 1, 1, 1, 0, 0, 0],
            [1, 1, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, 1, 1],
        ]
