"""Human phrases: unique, ambiguous and plural names, and their spans in the captions."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.data.detokenising import detokenise, detokenised_span, join_punctuation
from assistant.vlm.data.photos import Photo, PhotoFolder
from assistant.vlm.data.referents import (
    grounded_captions,
    head,
    is_plural,
    referents,
    strip_determiner,
    unique_names,
)
from assistant.vlm.data.views import View, cropped, mirrored
from assistant.vlm.errors import DataError
from assistant.vlm.grounding import Box

from .phrased import LEFT, RIGHT, phrased, seen
from .tiny import write_photo_folder


def names(photo: Photo) -> dict[str, Box]:
    return {name.text: name.referent.box for name in unique_names(photo)}


class TestWords:
    @pytest.mark.parametrize(
        ("name", "plain", "noun"),
        [
            ("A man", "man", "man"),
            ("His two brown dogs", "brown dogs", "dogs"),
            ("a man in blue", "man in blue", "man"),
            ("a group of young girls", "group of young girls", "girls"),
            ("the soccer player with the ball", "soccer player with the ball", "player"),
            ("the team in red", "team in red", "team"),
            ("one", "one", "one"),
            ("a group of", "group of", ""),
            ('a "', '"', ""),
        ],
    )
    def test_names_lose_their_articles_and_have_a_head_noun(self, name: str, plain: str, noun: str) -> None:
        assert (strip_determiner(name), head(name)) == (plain, noun)

    @pytest.mark.parametrize(
        ("name", "several"),
        [
            ("a dog", False),
            ("two dogs", True),
            ("dogs", True),
            ("some people", True),
            ("a group of girls", True),
            ("a pair of jeans", True),
            ("a group", False),
            ("the children", True),
            ("a bus", False),
            ('a "', False),
        ],
    )
    def test_plurals_and_groups_are_several(self, name: str, several: bool) -> None:
        assert is_plural(name) is several


class TestUniqueNames:
    def test_every_name_of_a_single_thing_is_unique(self) -> None:
        photo = phrased("[A girl|1|people|left] runs", "[The little child|1|people|left] plays")
        assert names(photo) == {"girl": Box(0, 20, 20, 80), "little child": Box(0, 20, 20, 80)}
        assert [it.definite for it in unique_names(photo)] == ["the girl", "the little child"]

    @pytest.mark.parametrize(
        ("captions", "found"),
        [
            pytest.param(["[a man|1|people|left] by [a man|2|people|right]"], set(), id="the same name"),
            pytest.param(
                ["[a man|1|people|left] by [an old man|2|people|right]"], {"old man"}, id="a narrower name"
            ),
            pytest.param(
                ["[a dog|1|animals|left] by [two dogs|2|animals|middle right]"], set(), id="one of several"
            ),
            pytest.param(
                ["[a man|1|people|left] runs", "[a man|2|people] runs"], set(), id="one without a box"
            ),
            pytest.param(
                ["[a dog|1|animals|left] by [another dog|2|animals|right]"], set(), id="another one"
            ),
            pytest.param(["[two dogs|1|animals|left right] run"], set(), id="two boxes"),
            pytest.param(["[two dogs|1|animals|left] run"], set(), id="a plural in one box"),
            pytest.param(["[a group of men|1|people|left]"], set(), id="a group"),
            pytest.param(["[it|1|animals|left] by [the front|2|other|right]"], set(), id="pointing words"),
            pytest.param(["[red|1|clothing|left]"], set(), id="a colour alone"),
            pytest.param(
                ["[a man|1|people|left] by [a tree|2|other|right]"], {"man", "tree"}, id="two things"
            ),
        ],
    )
    def test_a_name_that_may_mean_another_is_not_used(self, captions: list[str], found: set[str]) -> None:
        assert set(names(phrased(*captions))) == found

    @pytest.mark.parametrize(
        ("rival", "found"),
        [
            pytest.param(seen("dog", RIGHT), {"brown puppy"}, id="a second dog"),
            pytest.param(seen("dog", RIGHT, 0.3), {"puppy", "brown puppy"}, id="a faint one"),
            pytest.param(seen("dog", LEFT), {"puppy", "brown puppy"}, id="the same one"),
            pytest.param(seen("cat", RIGHT), {"puppy", "brown puppy"}, id="another class"),
        ],
    )
    def test_a_noun_alone_is_unique_if_no_other_was_detected(self, rival: Any, found: set[str]) -> None:
        photo = phrased("[a puppy|1|animals|left]", "[a brown puppy|1|animals|left]", objects=(rival,))
        assert set(names(photo)) == found


class TestJoinedNames:
    def test_two_joined_phrases_name_one_of_several(self) -> None:
        photo = phrased(
            "[a man|1|people|left] in [a red shirt|2|clothing|left] greets [a man|3|people|right]"
            " wearing [a hat|4|clothing|right]"
        )
        found = names(photo)
        assert found["man in a red shirt"] == Box(0, 20, 20, 80)
        assert found["man wearing a hat"] == Box(75, 20, 95, 80)
        assert "man" not in found
        assert {it.text: it.joined for it in unique_names(photo)} == {
            "man in a red shirt": True,
            "red shirt": False,
            "man wearing a hat": True,
            "hat": False,
        }

    @pytest.mark.parametrize(
        "caption",
        [
            pytest.param("[a man|1|people|left] and [a red shirt|2|clothing|right]", id="no joint"),
            pytest.param("[a tree|1|other|left] wearing [a hat|2|clothing|left]", id="trees wear nothing"),
            pytest.param("[two men|1|people|left] in [a boat|2|other|right]", id="several"),
            pytest.param("[a man|1|people|left] in [front|2|other]", id="no thing"),
            pytest.param("[a man|1|people|left] in [his clothes|1|people|left]", id="the same thing"),
        ],
    )
    def test_phrases_that_do_not_distinguish_are_not_joined(self, caption: str) -> None:
        assert not any(name.joined for name in unique_names(phrased(caption)))

    def test_joined_names_shared_by_two_things_are_not_unique(self) -> None:
        one, same = (
            "[a man|1|people|left] in [a hat|2|clothing]",
            "[a man|3|people|right] in [a hat|4|clothing]",
        )
        two = f"{one} meets {same}"
        assert not any(name.joined for name in unique_names(phrased(two)))
        other = two.replace("[a hat|4", "[a cap|4")
        assert {it.text for it in unique_names(phrased(other)) if it.joined} == {
            "man in a hat",
            "man in a cap",
        }


class TestReferents:
    def test_names_of_one_chain_are_one_thing(self) -> None:
        photo = phrased("[A girl|1|people|left] and [a dog|2|animals]", "[The child|1|people|left]")
        (only,) = referents(photo)
        assert (only.names, only.type, only.boxes) == (
            ("A girl", "The child"),
            "people",
            (Box(0, 20, 20, 80),),
        )

    def test_boxes_are_left_to_right(self) -> None:
        (dogs,) = referents(phrased("[dogs|1|animals|right left]"))
        assert dogs.boxes == (Box(0, 20, 20, 80), Box(75, 20, 95, 80))

    def test_a_caption_is_grounded_by_all_of_its_phrases(self) -> None:
        photo = phrased(
            "[A girl|1|people|left] in [a dress|2|clothing|left] with [dogs|3|animals|left right]"
            " in [snow|4|scene]",
            "nothing boxed",
        )
        (grounded,) = grounded_captions(photo)
        assert grounded.text == "A girl in a dress with dogs in snow"
        assert [(it.text, len(it.boxes), it.start) for it in grounded.phrases] == [
            ("A girl", 1, 0),
            ("a dress", 1, 10),
            ("dogs", 2, 23),
        ]

    @pytest.mark.parametrize(("count", "drawn"), [(6, True), (7, False)])
    def test_a_crowd_is_not_grounded(self, count: int, drawn: bool) -> None:
        photo = phrased(f"[people|1|people|{'left ' * count}] by [a tree|2|other|right]")
        assert {it.text for it in grounded_captions(photo)[0].phrases} == {"a tree"} | (
            {"people"} if drawn else set()
        )


class TestTokens:
    @pytest.mark.parametrize(
        ("tokens", "text"),
        [
            ("A girl , in red .", "A girl, in red"),
            ("The dog 's ball", "The dog's ball"),
            ("A man in St. Louis .", "A man in St. Louis"),
            ("two  spaces", "two spaces"),
            ("a .5 litre bottle", "a .5 litre bottle"),
        ],
    )
    def test_captions_are_detokenised(self, tokens: str, text: str) -> None:
        assert detokenise(tokens) == text

    def test_spaces_before_punctuation_are_removed_and_a_full_stop_stays(self) -> None:
        assert join_punctuation("A dog 's ball , red .") == "A dog's ball, red."

    @pytest.mark.parametrize("seed", range(20))
    def test_every_span_keeps_its_words(self, seed: int) -> None:
        random_ = random.Random(seed)
        vocabulary = ["a", "dog", "'s", ",", ".", "!", "St.", "red-haired", '"', "(", "Mt.", "man"]
        for _ in range(50):
            tokens = ["A", *random_.choices(vocabulary, k=random_.randint(1, 12))]
            caption = " ".join(tokens)
            first = random_.randrange(len(tokens))
            last = random_.randint(first + 1, len(tokens))
            start = len("".join(f"{it} " for it in tokens[:first]))
            words = " ".join(tokens[first:last])
            assert caption[start : start + len(words)] == words
            text = detokenise(caption)
            try:
                begins, ends = detokenised_span(caption, start, start + len(words))
            except ValueError:
                assert words.strip(" .") == "" or not detokenise(words)
                continue
            found = text[begins:ends]
            assert found == found.strip()
            assert found in (join_punctuation(words), join_punctuation(words).removesuffix(".").rstrip())
            rest = join_punctuation(" ".join(tokens[:first]))
            assert text[:begins].rstrip() == rest

    @pytest.mark.parametrize(("start", "end"), [(2, 2), (3, 1), (0, 99), (5, 7), (1, 2)])
    def test_a_span_without_words_is_an_error(self, start: int, end: int) -> None:
        with pytest.raises(ValueError, match=rf"span: \({start}, {end}\) holds no words of 'A dog \.'"):
            detokenised_span("A dog .", start, end)


RECORDS: list[dict[str, Any]] = [
    {
        "image": "girl.png",
        "captions": ["A girl in a pool , on the left ."],
        "objects": [{"label": "person", "score": 0.4, "box": [0.0, 0.0, 0.5, 0.5]}],
    },
    {"image": "dog.png", "captions": ["a dog"]},
]
PHRASES = [
    {"caption": 0, "span": [0, 6], "type": "people", "chain": "7", "boxes": [[0.0, 0.2, 0.2, 0.8]]},
    {"caption": 0, "span": [10, 16], "type": "scene", "chain": "8"},
    {"caption": 0, "span": [22, 30], "type": "notvisual", "chain": "0"},
]
ENTITIES = {
    "image": "girl.png", "split": "train", "phrases": PHRASES,
    "captions": ["A girl in a pool , on the left ."],
}  # fmt: skip


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return write_photo_folder(tmp_path, RECORDS)

    @staticmethod
    def beside(folder: Path, name: str, *lines: dict[str, Any]) -> None:
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def test_another_file_adds_captions_with_phrases(self, folder: Path) -> None:
        self.beside(folder, "entities.jsonl", ENTITIES)
        girl, dog = PhotoFolder(folder, "train").photos
        assert girl.captions == ("A girl in a pool, on the left",)
        assert [(it.text, it.start, it.chain, it.type, it.boxes) for it in girl.phrases] == [
            ("A girl", 0, "7", "people", (LEFT,)),
            ("a pool", 10, "8", "scene", ()),
        ]
        assert [it.label for it in girl.objects] == ["person"]
        assert (dog.captions, dog.phrases) == (("a dog",), ())

    def test_its_objects_replace_those_of_the_annotations(self, folder: Path) -> None:
        better = [{"label": "dog", "score": 0.8, "box": [0, 0, 1, 1]}]
        self.beside(
            folder,
            "boxes.jsonl",
            {"image": "girl.png", "objects": better},
            {"image": "dog.png", "objects": []},
        )
        girl, dog = PhotoFolder(folder, "train").photos
        assert [it.label for it in girl.objects] == ["dog"]
        assert girl.captions == ("A girl in a pool , on the left .",)
        assert dog.objects == ()

    def test_it_may_have_lines_for_unknown_photos(self, folder: Path) -> None:
        self.beside(folder, "boxes.jsonl", {"image": "elsewhere.png", "objects": []})
        assert len(PhotoFolder(folder, "train").photos) == 2

    def test_subfolders_are_read_too(self, folder: Path) -> None:
        write_photo_folder(folder / "more", [{"image": "cat.png", "captions": ["a cat"]}])
        self.beside(folder / "more", "boxes.jsonl", {"image": "girl.png", "objects": []})
        self.beside(folder, "entities.jsonl", ENTITIES)
        (folder / "run").mkdir()
        self.beside(folder / "run", "log.jsonl", {"step": 1})  # no photos there
        photos = PhotoFolder(folder, "train")
        assert [it.image for it in photos.photos] == ["girl.png", "dog.png", "cat.png"]
        assert photos.photos[0].objects == ()
        assert photos.read(photos.photos[2]).size == (40, 30)
        assert [path.name for path in photos.files()] == [
            "annotations.jsonl", "entities.jsonl", "annotations.jsonl", "boxes.jsonl", "photos-0.tar",
            "photos-0.tar",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"phrases": [PHRASES[0] | {"span": [0, 99]}]}, r"span: \(0, 99\) holds no words"),
            ({"phrases": [PHRASES[0] | {"span": [-3, 6]}]}, r"phrases\.0\.span\.0"),
            ({"phrases": [PHRASES[0] | {"caption": 5}]}, "caption 5"),
            ({"phrases": [PHRASES[0] | {"caption": -1}]}, r"phrases\.0\.caption"),
            (
                {"phrases": [PHRASES[0] | {"boxes": [[0.5, 0.1, 0.2, 0.3]]}]},
                r"phrases\.0\.boxes: \(0\.5, 0\.1",
            ),
            ({"phrase": []}, "phrase"),
        ],
        ids=["beyond the caption", "negative", "no such caption", "before the first", "no box", "typo"],
    )
    def test_an_invalid_line_is_named_or_skipped(
        self, folder: Path, change: dict[str, Any], message: str
    ) -> None:
        self.beside(folder, "entities.jsonl", ENTITIES | change)
        with pytest.raises(DataError, match=rf"entities\.jsonl:1: .*{message}") as caught:
            PhotoFolder(folder, "train")
        assert "\n" not in str(caught.value)
        girl, _ = PhotoFolder(folder, "train", skip_broken=True).photos
        assert girl.phrases == ()


class TestViews:
    PHOTO = phrased(
        "[a man|1|people|left] on the left of [the rightmost dog|2|animals|right] runs right next to"
        " [a tree|3|other]",
        "[a boy|4|people|middle] to [the right|5|other]",
    )

    def test_a_mirrored_phrase_goes_with_its_caption_and_its_box(self) -> None:
        flipped = mirrored(self.PHOTO)
        assert flipped.captions == (
            "a man on the right of the leftmost dog runs right next to a tree",
            "a boy to the left",
        )
        assert [it.text for it in flipped.phrases] == [
            "a man",
            "the leftmost dog",
            "a tree",
            "a boy",
            "the left",
        ]
        for phrase in flipped.phrases:
            assert flipped.captions[phrase.caption][phrase.start : phrase.end] == phrase.text
        assert flipped.phrases[0].boxes == (pytest.approx((0.8, 0.2, 1.0, 0.8)),)

    def test_mirroring_twice_restores_the_photo(self) -> None:
        twice = mirrored(mirrored(self.PHOTO))
        assert (twice.captions, [it.text for it in twice.phrases]) == (
            self.PHOTO.captions,
            [it.text for it in self.PHOTO.phrases],
        )

    def test_a_word_that_is_no_side_stays_in_phrase_and_caption(self) -> None:
        photo = phrased("[a dog|1|animals|left] on [the right|2|other] behind [a man|3|people]")
        for phrase in mirrored(photo).phrases:
            assert mirrored(photo).captions[0][phrase.start : phrase.end] == phrase.text

    def test_a_crop_keeps_what_it_shows_whole(self) -> None:
        photo = phrased(
            "[a man|1|people|left] with [a dog|2|animals|middle] by [dogs|3|animals|left middle]"
            " in [snow|4|scene]"
        )
        view = cropped(photo, (0.3, 0.0, 1.0, 1.0))
        assert [(it.text, len(it.boxes)) for it in view.phrases] == [("a dog", 1), ("dogs", 0), ("snow", 0)]
        assert view.phrases[0].boxes[0] == pytest.approx((1 / 7, 0.2, 3 / 7, 0.8))

    def test_a_thing_cut_in_two_is_a_rival_and_is_not_asked_for(self) -> None:
        photo = phrased("[a man|1|people|left]", "[a man|2|people|right]")
        assert names(cropped(photo, (0.1, 0.0, 1.0, 1.0))) == {}  # half of one is still visible
        assert names(cropped(photo, (0.3, 0.0, 1.0, 1.0))) == {"man": Box(64, 20, 92, 80)}

    def test_in_a_crop_names_are_not_joined_and_nothing_is_grounded(self) -> None:
        photo = phrased("[a man|1|people|middle] in [a hat|2|clothing|middle]")
        view = View(window=(0.1, 0.0, 0.9, 1.0)).photo(photo)
        assert set(names(view)) == {"man", "hat"}
        assert grounded_captions(view) == []
