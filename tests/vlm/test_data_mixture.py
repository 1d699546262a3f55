"""Mixing sources by ratio: cached records, streams that the seed determines, shares of processes."""

from __future__ import annotations

import errno
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from assistant.vlm.data import record_file
from assistant.vlm.data.configuration import MixtureConfig, SourceConfig
from assistant.vlm.data.lengths import LengthBuckets
from assistant.vlm.data.mixture import InstructionMixture, open_mixture
from assistant.vlm.data.record_file import RecordFile, cached_records, write_records
from assistant.vlm.data.records import ImageReference, Record, TaskTurn
from assistant.vlm.data.sources import open_source
from assistant.vlm.data.sources.own import OwnRecords
from assistant.vlm.data.streams import PhotoStream
from assistant.vlm.errors import AssistantError, DataError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task

from .test_data_sources import flickr30k
from .tiny import dog_records, picture, write_photo_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSISTANT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def record(place: str | None, answer: str) -> Record:
    reference = None if place is None else ImageReference(place)
    return Record(reference, (TaskTurn(None, "what?", answer),))


def write_gqa(data: Path, questions: int, pictures: int) -> None:
    rows = {
        str(number): {"imageId": str(number % pictures), "question": f"what is {number}?", "answer": "a wall"}
        for number in range(questions)
    }
    (data / "gqa/images").mkdir(parents=True)
    (data / "gqa/train_balanced_questions.json").write_text(json.dumps(rows))
    for number in range(pictures):
        picture(number).save(data / f"gqa/images/{number}.jpg")


def write_unnatural(data: Path, count: int) -> None:
    (data / "unnatural_instructions").mkdir()
    rows = (
        {
            "instances": [
                {"instruction_with_input": f"say {number}", "constraints": None, "output": str(number)}
            ]
        }
        for number in range(count)
    )
    path = data / "unnatural_instructions/core_data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


class TestRecordFile:
    def test_records_are_read_back_grouped_by_image(self, tmp_path: Path) -> None:
        region = TaskTurn(Task.IDENTIFY, "", "a dög", Box(1, 2, 3, 4))
        words = TaskTurn(Task.REFER, "", "{<1><2><3><4>}", words="where is the dog")
        written = [
            record("a.jpg", "one"),
            Record(ImageReference("shard.tar", 512, 99), (region, words)),
            record("a.jpg", "two"),
            record(None, "three"),
            record(None, "three"),
        ]
        write_records(written, tmp_path / "records")
        found = RecordFile.open(tmp_path / "records")
        groups = [found.records_of(number) for number in range(len(found))]
        assert sorted(map(len, groups)) == [1, 1, 1, 2]
        assert [written[0], written[2]] in groups
        assert [written[1]] in groups
        assert groups.count([written[3]]) == 2

    def test_images_of_one_shard_are_distinguished_by_offset(self, tmp_path: Path) -> None:
        turns = record(None, "one").turns
        places = [ImageReference("shard.tar", offset, 99) for offset in (0, 512)]
        write_records([Record(place, turns) for place in places], tmp_path / "records")
        assert len(RecordFile.open(tmp_path / "records")) == 2

    def test_parts_of_one_image_are_distinguished(self, tmp_path: Path) -> None:
        turns = record(None, "one").turns
        parts = [ImageReference("1.png", part=part) for part in (None, Box(0, 0, 50, 50), Box(9, 9, 50, 50))]
        write_records([Record(part, turns) for part in parts], tmp_path / "records")
        found = RecordFile.open(tmp_path / "records")
        assert sorted(len(found.records_of(number)) for number in range(len(found))) == [1, 1, 1]


class TestCache:
    @pytest.fixture
    def source(self, tmp_path: Path) -> OwnRecords:
        (tmp_path / "own.jsonl").write_text('{"ask": "a", "answer": "b"}\n')
        return OwnRecords(tmp_path / "own.jsonl")

    def test_a_source_is_read_once(
        self, source: OwnRecords, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = cached_records(source, cache)
        monkeypatch.setattr(record_file, "read_records", None)
        assert cached_records(source, cache).records_of(0) == first.records_of(0)

    def test_a_file_that_changed_is_read_again(self, source: OwnRecords, cache: Path) -> None:
        cached_records(source, cache)
        source.path.write_text('{"ask": "a", "answer": "c"}\n{"ask": "d", "answer": "e"}\n')
        assert len(cached_records(source, cache)) == 2

    def test_skipped_rows_are_reported_again_and_an_error_without_the_option(
        self, source: OwnRecords, cache: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        source.path.write_text('{"ask": "a", "answer": "c"}\n{oops\n')
        for _ in range(2):
            with caplog.at_level(logging.WARNING):
                assert len(cached_records(source, cache, skip_broken=True)) == 1
            assert caplog.text.count(f"broken rows skipped in {source.path}: 1") == 1
            caplog.clear()
        with pytest.raises(DataError, match=r"own\.jsonl:2: not JSON"):
            cached_records(source, cache)

    def test_a_skipped_row_is_read_once_its_image_exists(self, tmp_path: Path, cache: Path) -> None:
        write_gqa(tmp_path, questions=3, pictures=3)
        (tmp_path / "own.jsonl").write_text(
            '{"ask": "a", "answer": "b"}\n{"image": "1.png", "ask": "c", "answer": "d"}\n'
        )
        (tmp_path / "gqa/images/2.jpg").rename(tmp_path / "2.jpg")
        (tmp_path / "1.png").write_bytes(b"half of a picture")
        sources = OwnRecords(tmp_path / "own.jsonl"), open_source("gqa", tmp_path, SourceConfig())

        def pictures() -> list[int]:
            return [len(cached_records(source, cache, skip_broken=True)) for source in sources]

        assert pictures() == [1, 2]
        (tmp_path / "2.jpg").rename(tmp_path / "gqa/images/2.jpg")
        picture(1).save(tmp_path / "1.png")
        assert pictures() == [2, 3]

    def test_boxes_are_read_again_for_a_replaced_image(self, tmp_path: Path, cache: Path) -> None:
        picture(1, width=40, height=20).save(tmp_path / "1.png")
        line = {"image": "1.png", "task": "refer", "ask": "mug", "answer": [[4, 2, 20, 10]]}
        (tmp_path / "own.jsonl").write_text(json.dumps(line))

        def answer() -> str:
            return cached_records(OwnRecords(tmp_path / "own.jsonl"), cache).records_of(0)[0].turns[0].answer

        assert answer() == "{<10><10><50><50>}"
        picture(1, width=80, height=20).save(tmp_path / "1.png")
        assert answer() == "{<5><10><25><50>}"

    def test_skipped_rows_are_not_read_again_without_a_change(
        self, source: OwnRecords, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source.path.write_text('{"ask": "a", "answer": "b"}\n{"image": "1.png", "ask": "c", "answer": "d"}\n')
        cached_records(source, cache, skip_broken=True)
        monkeypatch.setattr(record_file, "read_records", None)
        assert len(cached_records(source, cache, skip_broken=True)) == 1

    def test_corrected_boxes_are_read_again(self, tmp_path: Path, cache: Path) -> None:
        flickr30k(tmp_path)
        source = open_source("flickr30k_phrase_to_boxes", tmp_path, SourceConfig())

        def answers() -> set[str]:
            records = cached_records(source, cache)
            return {turn.answer for record in records.records_of(0) for turn in record.turns}

        assert "<p>A man</p> {<0><10><10><20>}" in answers()
        path = tmp_path / "flickr30k_entities/Annotations/1000092795.xml"
        path.write_text(path.read_text().replace("<xmin>0</xmin>", "<xmin>10</xmin>"))
        assert "<p>A man</p> {<5><10><10><20>}" in answers()

    def test_a_broken_source_leaves_nothing_behind(self, source: OwnRecords, cache: Path) -> None:
        source.path.write_text("{oops\n")
        with pytest.raises(DataError):
            cached_records(source, cache)
        assert [path for path in cache.iterdir() if path.suffix != ".lock"] == []

    def test_a_missing_file_is_reported(self, tmp_path: Path, cache: Path) -> None:
        with pytest.raises(DataError, match=r"no .*gone\.jsonl"):
            cached_records(OwnRecords(tmp_path / "gone.jsonl"), cache)

    def test_a_source_without_records_is_an_error(self, source: OwnRecords, cache: Path) -> None:
        source.path.write_text("\n")
        with pytest.raises(DataError, match="holds no record"):
            cached_records(source, cache)

    def test_a_full_disk_is_reported_with_the_remedy(
        self, source: OwnRecords, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(record_file, "write_records", full)
        with pytest.raises(DataError, match=r"No space left on device\): make room there, or set ASSIST"):
            cached_records(source, cache)


class TestMixture:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        write_photo_folder(tmp_path / "own", dog_records(3))
        write_gqa(tmp_path, questions=30, pictures=3)
        write_unnatural(tmp_path, 20)
        return tmp_path

    @staticmethod
    def mixture(data: Path, length: int = 400, seed: int = 0, **config: Any) -> InstructionMixture:
        ratios = {"photos": 2.0, "gqa": 1.0, "unnatural_instructions": 1.0}
        sources = {"photos": SourceConfig(path=data / "own")}
        values: dict[str, Any] = {"ratios": ratios, "sources": sources} | config
        return open_mixture(data, "train", MixtureConfig(**values), length, seed)

    @staticmethod
    def origin(mixture: InstructionMixture, index: int) -> str:
        drawn = mixture.draw(index).picture
        return "text" if drawn is None else "gqa" if "gqa" in drawn.path else "photos"

    def test_sources_are_drawn_by_their_ratios(self, data: Path) -> None:
        mixture = self.mixture(data)
        counts = Counter(self.origin(mixture, index) for index in range(400))
        assert counts["photos"] == pytest.approx(200, abs=35)
        assert counts["gqa"] == pytest.approx(100, abs=30)
        assert counts["text"] == pytest.approx(100, abs=30)

    def test_an_example_depends_on_seed_and_index_alone(self, data: Path) -> None:
        first, second, other = (
            self.mixture(data, length, seed) for length, seed in ((40, 0), (90, 0), (40, 1))
        )
        assert [second[index].samples for index in reversed(range(40))] == [
            first[index].samples for index in reversed(range(40))
        ]
        assert [first[index].samples for index in range(40)] != [other[index].samples for index in range(40)]

    def test_a_source_with_ratio_0_changes_nothing(self, data: Path) -> None:
        alone = open_mixture(data / "own", "train", MixtureConfig(), 20, seed=0)
        with_none = self.mixture(data, 20, ratios={"photos": 5.0, "laion": 0.0})
        assert [alone[index].samples for index in range(20)] == [
            with_none[index].samples for index in range(20)
        ]

    def test_colours_are_measured_if_asked_to(self, data: Path, cache: Path) -> None:
        def colours(wish: bool) -> list[bool]:
            (stream,) = open_mixture(data / "own", "train", MixtureConfig(colours=wish), 5, seed=0).streams
            assert isinstance(stream, PhotoStream)
            return [bool(item.colours) for photo in stream.photos for item in photo.objects]

        assert colours(False) == [False] * 3
        assert not (cache / "colours").exists()
        assert colours(True) == [True] * 3
        assert [path.suffix for path in (cache / "colours").iterdir()] == [".json"]

    def test_questions_over_one_picture_come_together(self, data: Path) -> None:
        mixture = self.mixture(data, ratios={"photos": 0.0, "gqa": 1.0}, per_picture=4)
        example = mixture[0]
        assert len({sample.turn.user for sample in example.samples}) == 4
        numbers = {int(sample.turn.user.split("what is ")[1].split("?")[0]) % 3 for sample in example.samples}
        assert len(numbers) == 1

    def test_every_image_is_drawn_once_per_pass(self, data: Path) -> None:
        mixture = self.mixture(data, ratios={"photos": 0.0, "unnatural_instructions": 1.0})
        for epoch in range(3):
            drawn = [mixture[20 * epoch + place].samples[0].turn.answer for place in range(20)]
            assert sorted(drawn, key=lambda text: int(text or "")) == [str(number) for number in range(20)]

    def test_published_conversations_can_be_mixed_into_dialogues(self, data: Path) -> None:
        mixture = self.mixture(data, ratios={"photos": 0.0, "gqa": 1.0}, dialogue=1.0)
        (sample,) = mixture[0].samples
        assert len(sample.exchanges) == 4

    def test_two_processes_take_disjoint_parts_that_make_up_the_whole(self, data: Path) -> None:
        sampler = LengthBuckets(self.mixture(data, 80), batch_size=8, seed=0)

        def part(process: int) -> Iterator[list[int]]:
            yield from BatchSamplerShard(
                BatchSampler(sampler, 8, drop_last=False),
                num_processes=2,
                process_index=process,
                split_batches=True,
            )

        parts = [[index for batch in part(process) for index in batch] for process in range(2)]
        assert set(parts[0]).isdisjoint(parts[1])
        assert sorted(parts[0] + parts[1]) == list(range(80))

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            pytest.param(
                {"recipe": "stage 4"}, "no recipe 'stage 4': choose one of photos, pret", id="recipe"
            ),
            pytest.param(
                {"ratios": {"coco": 1.0}, "sources": {}},
                "no source 'coco': choose among photos, planning, laion, ",
                id="source",
            ),
            pytest.param({"ratios": {"photos": -1.0}}, "the ratio of photos is below 0", id="below 0"),
            pytest.param({"ratios": {"photos": 0.0}}, "no source has a ratio above 0", id="nothing"),
            pytest.param(
                {"sources": {"laion": SourceConfig()}},
                "the source laion has no ratio",
                id="source without ratio",
            ),
            pytest.param({"ratios": {"laion": 1.0}}, "no .*laion_dataset", id="not there"),
        ],
    )
    def test_an_impossible_mixture_is_an_error(
        self, data: Path, config: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(AssistantError, match=message):
            self.mixture(data, **config)

    def test_a_damaged_image_is_an_error_or_replaced(
        self, data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (data / "gqa/images/1.jpg").write_bytes(b"no picture")
        ratios = {"photos": 0.0, "gqa": 1.0}
        with pytest.raises(DataError, match=r"1\.jpg: this is not an image"):
            list(map(self.mixture(data, ratios=ratios).__getitem__, range(3)))
        config = MixtureConfig(ratios=ratios)
        tolerant, again = (
            open_mixture(data, "train", config, 30, seed=0, skip_broken=True) for _ in range(2)
        )
        with caplog.at_level(logging.WARNING):
            examples = [tolerant[index] for index in range(30)]
        assert all(example.image is not None for example in examples)
        assert "1.jpg: this is not an image" in caplog.text
        assert [example.samples for example in examples] == [again[index].samples for index in range(30)]

    def test_data_of_damaged_images_only_is_an_error(self, data: Path) -> None:
        for number in range(3):
            (data / f"gqa/images/{number}.jpg").write_bytes(b"no picture")
        config = MixtureConfig(ratios={"photos": 0.0, "gqa": 1.0})
        mixture = open_mixture(data, "train", config, 30, seed=0, skip_broken=True)
        with pytest.raises(DataError, match="cannot read 10 images in a row"):
            mixture[0]

    def test_broken_lines_of_annotated_photos_are_skipped_if_asked_to(
        self, data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = data / "own/annotations.jsonl"
        gone = json.dumps(json.loads(path.read_text().splitlines()[0]) | {"image": "gone.png"})
        path.write_text("{oops\n" + path.read_text() + '{"image": "dog-0.png"}\n' + gone + "\n")
        with pytest.raises(DataError, match=r"annotations\.jsonl:1: not JSON"):
            open_mixture(data / "own", "train", MixtureConfig(), 5, seed=0)
        with caplog.at_level(logging.WARNING):
            mixture = open_mixture(data / "own", "train", MixtureConfig(), 5, seed=0, skip_broken=True)
        assert len({mixture.draw(index).picture for index in range(5)}) == 3
        assert f"broken rows skipped in {path}: 3" in caplog.text
