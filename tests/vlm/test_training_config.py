"""The settings of a run: shipped stages, a file, options, and errors that name the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.vlm.architecture.adapter import AdapterConfig
from assistant.vlm.data.recipes import RECIPES
from assistant.vlm.errors import AssistantError
from assistant.vlm.training.config import TrainingConfig, load_config, stage_names

GIVEN = {"data": Path("photos"), "out": Path("run")}


def complaint(*layers: object, file: Path | None = None) -> str:
    stage, options = layers
    with pytest.raises(AssistantError) as caught:
        load_config(stage, file, options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestStages:
    def test_each_model_has_its_three(self) -> None:
        assert stage_names() == ["7b-1", "7b-2", "7b-3", "nano-1", "nano-2", "nano-3", "nano-4", "own"]

    @pytest.mark.parametrize("stage", stage_names())
    def test_every_stage_is_checked_data_for_its_model(self, stage: str) -> None:
        config = load_config(stage, options=GIVEN)
        assert config.model == (stage.rpartition("-")[0] or "nano")
        assert config.mixture.recipe in RECIPES
        assert config.warmup_steps < config.steps

    def test_those_of_7b_are_the_papers(self) -> None:
        stages = [load_config(f"7b-{number}", options=GIVEN) for number in (1, 2, 3)]
        assert [(stage.steps, stage.batch, stage.learning_rate) for stage in stages] == [
            (400_000, 96, 1e-4),
            (50_000, 64, 1e-5),
            (35_000, 24, 1e-5),
        ]
        assert [stage.mixture.recipe for stage in stages] == ["pretraining", "multitask", "chat"]
        assert {(stage.adapter.rank, stage.adapter.alpha, stage.adapter.all_linear) for stage in stages} == {
            (64, 16, False)
        }

    def test_the_last_stage_of_nano_mixes_tasks_in_conversations(self) -> None:
        assert [
            load_config(f"nano-{number}", options=GIVEN).mixture.dialogue > 0 for number in (1, 2, 3)
        ] == [
            False,
            False,
            True,
        ]

    def test_an_unknown_stage_is_reported_with_the_known_ones(self) -> None:
        assert "no stage 'nano-9': choose one of 7b-1" in complaint("nano-9", GIVEN)


class TestOwn:
    """Records written by hand."""

    @staticmethod
    def own(folder: Path, pictures: int) -> dict[str, Path]:
        lines = [
            f'{{"image": "{number}.jpg", "task": "caption", "answer": "{word}"}}\n'
            for number in range(pictures)
            for word in ("a", "b")
        ]
        (folder / "own.jsonl").write_text("".join(lines))
        return {"data": folder / "own.jsonl", "out": Path("run")}

    def test_they_start_from_nano_at_a_low_rate(self, tmp_path: Path) -> None:
        config = load_config(options=self.own(tmp_path, 6))
        assert (config.model, config.init) == ("nano", "nano")
        assert config.learning_rate <= load_config("nano-1", options=GIVEN).learning_rate / 10
        assert not config.whiten

    @pytest.mark.parametrize(("pictures", "steps"), [(0, 40), (6, 40), (100, 625), (1000, 2600)])
    def test_the_steps_follow_from_their_number(self, tmp_path: Path, pictures: int, steps: int) -> None:
        assert load_config(options=self.own(tmp_path, pictures)).steps == steps

    def test_options_win(self, tmp_path: Path) -> None:
        options = {"steps": 7, "init": "none", "learning_rate": 1e-3}
        config = load_config(options=self.own(tmp_path, 6) | options)
        assert (config.steps, config.init, config.learning_rate) == (7, "none", 1e-3)

    def test_another_model_gets_a_fresh_adapter(self, tmp_path: Path) -> None:
        assert load_config(options=self.own(tmp_path, 6) | {"model": "models/7b"}).init is None

    def test_another_stage_wins(self, tmp_path: Path) -> None:
        config = load_config("nano-1", options=self.own(tmp_path, 6))
        assert (config.init, config.learning_rate, config.steps) == (None, 1e-3, 4000)


class TestLayers:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(
            'data = "photos"\nout = "run"\nsteps = 7\nbatch = 2\n[adapter]\nrank = 3\n'
            '[mixture.ratios]\ncoco_caption = 0\n[mixture.sources.gqa]\npath = "/data/gqa"\n'
        )
        return path

    def test_options_win_over_the_file_and_the_file_over_the_stage(self, file: Path) -> None:
        config = load_config("7b-2", file, {"steps": 9})
        assert (config.steps, config.batch, config.learning_rate) == (9, 2, 1e-5)
        assert config.data == Path("photos")

    def test_tables_are_merged_key_by_key(self, file: Path) -> None:
        config = load_config("7b-2", file)
        assert config.adapter == AdapterConfig(rank=3, alpha=16, dropout=0.05, all_linear=False)
        assert config.mixture.recipe == "multitask"
        assert config.mixture.ratios == {"coco_caption": 0}
        assert config.mixture.sources["gqa"].path == Path("/data/gqa")

    def test_without_any_the_defaults_hold(self) -> None:
        assert load_config(options=GIVEN) == TrainingConfig(data=Path("photos"), out=Path("run"))

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("learning_rat = 1", "unknown key learning_rat: choose among data, out"),
            ("[adapter]\nrnk = 1", "unknown key adapter.rnk"),
            ("[mixture]\nration = 1", "unknown key mixture.ration"),
            ("[adapter]\ntower = true\nall_linear = false", "tower = true needs all_linear = true"),
            ("steps = 0", "steps: Input should be greater than 0"),
            ("learning_rate = 'fast'", "learning_rate: Input should be a valid number"),
            ("[mixture.per_task]\nsing = 1", "mixture.per_task.sing"),
            ("[mixture]\ncrop = -1", "mixture.crop: Input should be greater than or equal to 0"),
            ("[mixture.sources.gqa]\npth = 1", "unknown key mixture.sources.gqa.pth"),
            ("steps = ", "is not TOML"),
        ],
    )
    def test_an_error_in_a_file_names_the_file(self, text: str, named: str, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        message = complaint(None, GIVEN, file=path)
        assert str(path) in message
        assert named in message

    def test_a_missing_file_is_reported(self, tmp_path: Path) -> None:
        assert "cannot read" in complaint(None, GIVEN, file=tmp_path / "none.toml")

    def test_a_missing_setting_is_reported_with_its_option(self) -> None:
        assert "out is missing: give it as an option (--out)" in complaint("nano-1", {"data": Path("photos")})
