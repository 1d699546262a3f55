"""Self-critical training: sampling answers, rewarding them, and training on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.vlm.architecture.adapter import AdapterConfig, add_adapter
from assistant.vlm.architecture.processing import MiniGPTv2Processor
from assistant.vlm.data.collator import TASKS, WRITTEN, SharedImageCollator
from assistant.vlm.data.instructions import Sample
from assistant.vlm.data.mixture import Example
from assistant.vlm.errors import AssistantError
from assistant.vlm.tasks import ABSENT_ANSWER, Task, Turn, instruction
from assistant.vlm.training.config import TrainingConfig
from assistant.vlm.training.run import train
from assistant.vlm.training.self_critical import (
    MAX_NEW_TOKENS,
    TEMPERATURE,
    AnswerSampler,
    CaptionReward,
    advantages,
    box_reward,
    sample_answers,
)

from .tiny import dog_records, picture, tiny_model, tiny_processor, write_photo_folder

REFERENCES = (
    ("a dog runs through the snow", "a brown dog is running in deep snow"),
    ("two men play a game of chess", "men sit at a table and play chess"),
    ("a boat lies on the beach", "a small boat on the sand"),
)
ADAPTER = AdapterConfig(rank=2, alpha=4)


@pytest.fixture(scope="module")
def processor() -> MiniGPTv2Processor:
    return tiny_processor()


def run(folder: Path, records: list[dict[str, Any]]) -> tuple[list[dict[str, float]], list[str]]:
    """Train for four steps on photos; return the log and the printed lines."""
    config = TrainingConfig(
        data=write_photo_folder(folder / "photos", records),
        out=folder / "run",
        steps=4,
        batch=2,
        log_every=2,
        self_critical=3,
        adapter=ADAPTER,
    )
    printed: list[str] = []
    train(tiny_model(), tiny_processor(), config, log_line=printed.append)
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()], printed


class TestReward:
    reward = CaptionReward(REFERENCES)

    def test_a_human_caption_has_a_higher_reward(self) -> None:
        captions = ["a dog runs through the snow", "a dog runs through a field", "men play chess", ""]
        same, near, far, nothing = self.reward(captions, REFERENCES[0]).tolist()
        assert same > near > far >= nothing == 0

    def test_it_is_the_measure_that_captions_are_evaluated_by(self) -> None:
        from pycocoevalcap.cider.cider_scorer import CiderScorer

        captions = ["a dog in the snow", "two men at a table", "a boat"]
        scorer = CiderScorer()
        for caption, references in zip(captions, REFERENCES, strict=True):
            scorer += (f"{caption} </s>", [f"{text} </s>" for text in references])
        _, wanted = scorer.compute_score()
        found = [
            self.reward([text], references).item()
            for text, references in zip(captions, REFERENCES, strict=True)
        ]
        assert found == pytest.approx(wanted.tolist())

    def test_a_truncated_caption_has_a_lower_reward(self) -> None:
        whole, cut = self.reward(["a small boat on the sand", "a small boat on the"], REFERENCES[2]).tolist()
        assert whole > cut


class TestBoxReward:
    def test_it_is_the_mean_of_the_overlap_and_whether_it_is_a_hit(self) -> None:
        answers = ["{<0><0><50><100>}", "{<0><0><50><60>}", "{<0><0><50><40>}", "{<60><0><90><90>}"]
        found = box_reward(answers, ["{<0><0><50><100>}"])
        assert found.tolist() == pytest.approx([1.0, 0.8, 0.2, 0.0])

    @pytest.mark.parametrize("answer", ["", "the dog", "{<0><0><50>", "{<a><0><50><100>}"])
    def test_an_answer_without_a_box_has_no_reward(self, answer: str) -> None:
        assert box_reward([answer], ["{<0><0><50><100>}"]).tolist() == [0.0]

    def test_every_box_for_an_absent_thing_is_wrong(self) -> None:
        answers = [ABSENT_ANSWER, "{<0><0><50><100>}"]
        assert box_reward(answers, [ABSENT_ANSWER]).tolist() == [1.0, 0.0]
        assert box_reward(answers, ["{<0><0><50><100>}"]).tolist() == [0.0, 1.0]


class TestAdvantage:
    def test_it_is_the_reward_above_the_mean_of_the_other_captions(self) -> None:
        found = advantages(torch.tensor([[1.0, 0.0, 0.0], [5.0, 5.0, 5.0]]))
        assert found[0, 0] > 0 > found[0, 1] == found[0, 2]
        assert found[1].tolist() == [0, 0, 0]
        assert found.sum().item() == pytest.approx(0, abs=1e-6)

    def test_equal_rewards_have_no_advantage(self) -> None:
        assert advantages(torch.full((2, 4), 0.3)).abs().max() < 1e-3


class TestWriting:
    def test_captions_are_sampled_as_from_separate_prompts(self, processor: MiniGPTv2Processor) -> None:
        model = add_adapter(tiny_model(), ADAPTER)
        images = [picture(0), picture(1)]
        requests = ["[caption] what is this?", "[caption] describe the whole image, please"]
        torch.manual_seed(3)
        written = sample_answers(model, processor, images, requests, 3, bf16=False)
        batch = processor(
            [image for image in images for _ in range(3)],
            [[Turn(request)] for request in requests for _ in range(3)],
        )
        torch.manual_seed(3)
        plain = model.eval().generate(
            **batch, do_sample=True, temperature=TEMPERATURE, top_k=0, max_new_tokens=MAX_NEW_TOKENS
        )
        answers = [processor.decode_answer(ids.tolist()) for ids in plain[:, batch["input_ids"].shape[1] :]]
        assert [text for captions in written for text in captions] == answers
        assert len(set(answers)) > 1

    def test_the_model_is_back_in_training_mode_afterwards(self, processor: MiniGPTv2Processor) -> None:
        model = add_adapter(tiny_model(), ADAPTER).train()
        sample_answers(model, processor, [picture(0)], ["[caption]"], 2, bf16=False)
        assert model.training


class TestBatch:
    def sampler(self, processor: MiniGPTv2Processor) -> AnswerSampler:
        model = add_adapter(tiny_model(), ADAPTER)
        collate = SharedImageCollator(processor)
        rewards: Any = {Task.CAPTION: CaptionReward(REFERENCES), Task.REFER: box_reward}
        return AnswerSampler(collate, model, processor, rewards, 3, bf16=False)

    def test_sampled_captions_are_added_to_the_annotated_ones(self, processor: MiniGPTv2Processor) -> None:
        given = Sample(Task.CAPTION, Turn(instruction(Task.CAPTION), "a dog"))
        asked = Sample(Task.VQA, Turn("[vqa] what is it?", "a dog"))
        examples = [Example(picture(0), [given, asked], REFERENCES[0]), Example(picture(1), [asked])]
        batch = self.sampler(processor)(examples)
        assert batch["rewards"].shape == (3,)
        written = batch["tasks"] == WRITTEN
        assert written[0].any()
        assert not written[1].any()
        assert (batch["label_weights"][~written & (batch["labels"] != -100)] == 1).all()
        assert {TASKS.index(Task.CAPTION), TASKS.index(Task.VQA)} < set(batch["tasks"][0].tolist())

    def test_boxes_are_sampled_for_referring_expressions(self, processor: MiniGPTv2Processor) -> None:
        def asked(answer: str) -> list[Sample]:
            return [Sample(Task.REFER, Turn(instruction(Task.REFER, "the dog"), answer))]

        caption = Sample(Task.CAPTION, Turn(instruction(Task.CAPTION), "a dog"))
        one, two = "{<1><2><30><40>}", "{<1><2><30><40>}<delim>{<5><2><30><40>}"
        examples = [
            Example(picture(0), [caption, *asked(one)], REFERENCES[0]),
            Example(picture(1), asked(two)),
            Example(picture(2), asked(one)),
        ]
        batch = self.sampler(processor)(examples)
        counted = [batch["rewarded"].tolist().count(TASKS.index(task)) for task in (Task.CAPTION, Task.REFER)]
        assert counted == [3, 6]
        assert batch["rewards"].shape == (9,)
        assert [(row == WRITTEN).any().item() for row in batch["tasks"]] == [True, False, True]

    @pytest.mark.parametrize("references", [(), REFERENCES[0]])
    def test_an_example_without_references_is_unchanged(
        self, processor: MiniGPTv2Processor, references: tuple[str, ...]
    ) -> None:
        task = Task.VQA if references else Task.CAPTION
        examples = [Example(picture(0), [Sample(task, Turn("what is it?", "a dog"))], references)]
        batch = self.sampler(processor)(examples)
        plain = SharedImageCollator(processor)(examples)
        assert batch.keys() == plain.keys()
        assert all(torch.equal(batch[name], plain[name]) for name in plain)


class TestLearning:
    def test_a_weight_below_0_makes_an_answer_less_likely(self, processor: MiniGPTv2Processor) -> None:
        model = add_adapter(tiny_model(), ADAPTER).train()
        samples = [
            Sample(Task.CAPTION, Turn("[caption]", "a dog"), weight=1.0),
            Sample(Task.CAPTION, Turn("[caption]", "the snow"), weight=-1.0),
        ]
        optimizer = torch.optim.AdamW([item for item in model.parameters() if item.requires_grad], lr=1e-2)

        def losses() -> list[float]:
            alone = [replace(sample, weight=None) for sample in samples]
            batches = [SharedImageCollator(processor)([Example(picture(0), [sample])]) for sample in alone]
            with torch.no_grad():
                return [float(model(**batch).loss) for batch in batches]

        before = losses()
        for _ in range(5):
            optimizer.zero_grad()
            model(**SharedImageCollator(processor)([Example(picture(0), samples)])).loss.backward()
            optimizer.step()
        after = losses()
        assert after[0] < before[0]
        assert after[1] > before[1]

    def test_captions_follow_their_reward(self, processor: MiniGPTv2Processor) -> None:
        model = add_adapter(tiny_model(), AdapterConfig(rank=8, alpha=16)).train()

        def brevity(captions: Sequence[str], _references: Sequence[str]) -> torch.Tensor:
            return torch.tensor([-float(len(caption)) for caption in captions])

        collate = SharedImageCollator(processor)
        rewards = {Task.CAPTION: brevity}
        sampler = AnswerSampler(collate, model, processor, rewards, 16, bf16=False)
        optimizer = torch.optim.AdamW([item for item in model.parameters() if item.requires_grad], lr=5e-2)
        torch.manual_seed(0)
        # The annotated caption provides the question, but has no labels.
        asked = Sample(Task.CAPTION, Turn("[caption]", "a dog"), weight=0.0)
        means = []
        for _ in range(40):
            batch = sampler([Example(picture(0), [asked], REFERENCES[0])])
            means.append(batch.pop("rewards").mean().item())
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()
        assert sum(means[-8:]) / 8 > sum(means[:8]) / 8 + 5

    def test_a_run_logs_the_rewards(self, tmp_path: Path) -> None:
        lines, printed = run(tmp_path, dog_records(4))
        rewards = [line["reward_caption"] for line in lines] + [line["reward_refer"] for line in lines]
        assert all(0 <= reward <= 10 for reward in rewards)
        assert all(line["loss_written"] > 0 for line in lines)
        boxes, captions = lines[0]["reward_refer"], lines[0]["reward_caption"]
        assert f"caption reward {captions:.3f}" in printed[0]
        assert f"refer reward {boxes:.3f}" in printed[0]

    def test_without_human_captions_only_boxes_are_rewarded(self, tmp_path: Path) -> None:
        (line, *_), _ = run(tmp_path, [{**record, "captions": []} for record in dog_records(3)])
        assert "reward_refer" in line
        assert "reward_caption" not in line

    def test_data_without_references_is_an_error(self, tmp_path: Path) -> None:
        asked = [{"question": "what is it?", "answer": ["dog"]}]
        records = [{"image": record["image"], "questions": asked} for record in dog_records(3)]
        with pytest.raises(AssistantError, match="no image has human captions"):
            run(tmp_path, records)

    def test_one_caption_cannot_be_compared(self, tmp_path: Path) -> None:
        config = TrainingConfig(data=tmp_path, out=tmp_path / "run", self_critical=1)
        with pytest.raises(AssistantError, match="2 or more"):
            train(tiny_model(), tiny_processor(), config)
