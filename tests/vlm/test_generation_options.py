"""Options of generation: sampled answers, repeatable by a seed, and the folder's defaults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import set_seed

from assistant.vlm.answers import Request
from assistant.vlm.engine.generation import OptionsChooser, chooser_of
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.engine.remote import RemoteEngine
from assistant.vlm.errors import AssistantError, ServerError, WeightsError
from assistant.vlm.folders.reading import read_model_folder
from assistant.vlm.generation_options import GenerationOptions
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from .model_server import Body, Handler, ModelServer, fails, says
from .tiny import picture, tiny_model, tiny_processor

CAPTION = Request(Task.CAPTION, image=picture(0))
SAMPLED = GenerationOptions(temperature=1.0, seed=7)


@pytest.fixture
def engine() -> LocalEngine:
    return LocalEngine("tiny", tiny_model(), tiny_processor())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model().save_pretrained(tmp_path)
    tiny_processor().save_pretrained(tmp_path)
    return tmp_path


def asked(engine: LocalEngine, options: GenerationOptions, *others: Request) -> str:
    return engine.generate([*others, replace(CAPTION, options=options)])[-1].raw


class TestSampling:
    def test_a_seed_repeats_an_answer_in_any_batch(self, engine: LocalEngine) -> None:
        others = [Request(None, "hello"), replace(CAPTION, options=replace(SAMPLED, seed=8))]
        assert asked(engine, SAMPLED) == asked(engine, SAMPLED, *others)
        assert "".join(engine.stream(replace(CAPTION, options=SAMPLED))).strip() == asked(engine, SAMPLED)

    def test_seeds_differ_and_so_do_answers_without_one(self, engine: LocalEngine) -> None:
        seeds = {asked(engine, replace(SAMPLED, seed=seed)) for seed in range(4)}
        assert len({asked(engine, replace(SAMPLED, seed=None)) for _ in range(4)}) == len(seeds) == 4

    def test_temperature_zero_and_a_narrow_top_p_are_greedy(self, engine: LocalEngine) -> None:
        (greedy,) = engine.generate([CAPTION])
        assert asked(engine, GenerationOptions(temperature=0, top_p=0.5, seed=1)) == greedy.raw
        assert asked(engine, replace(SAMPLED, top_p=1e-6)) == greedy.raw
        assert asked(engine, SAMPLED) != greedy.raw

    def test_it_has_the_frequencies_of_the_probabilities(self) -> None:
        logits = torch.tensor([0.5, 0.3, 0.2]).log()
        chooser = OptionsChooser(GenerationOptions(temperature=0.5, seed=0))
        drawn = [chooser.likeliest([], logits)[0] for _ in range(4000)]
        squares = torch.tensor([0.25, 0.09, 0.04])
        found = torch.bincount(torch.tensor(drawn)) / len(drawn)
        torch.testing.assert_close(found, squares / squares.sum(), atol=0.02, rtol=0)

    def test_a_box_keeps_the_probability_that_the_model_gave(self) -> None:
        logits = torch.tensor([0.6, 0.4]).log()
        token, probability = OptionsChooser(GenerationOptions(temperature=9.0, seed=1)).likeliest([], logits)
        assert probability == pytest.approx([0.6, 0.4][token])

    def test_a_penalty_keeps_tokens_from_being_repeated(self, engine: LocalEngine) -> None:
        logits = torch.tensor([2.0, 1.5, -1.0])
        chooser = chooser_of(GenerationOptions(repetition_penalty=1.5))
        assert chooser.likeliest([], logits)[0] == 0
        assert chooser.likeliest([0], logits)[0] == 1
        assert chooser_of(GenerationOptions(repetition_penalty=1.0)) is None
        assert asked(engine, GenerationOptions(repetition_penalty=100.0)) != asked(
            engine, GenerationOptions()
        )


class TestBeams:
    @torch.inference_mode()
    def wanted(self, engine: LocalEngine, **options: Any) -> str:
        """Return what transformers finds from the prompt's embeddings."""
        row, model = engine._row(CAPTION), engine.model
        (ids,) = model.language_model.generate(
            inputs_embeds=model.embed(row.input_ids[None], row.pixel_values),
            attention_mask=torch.ones(1, len(row.input_ids)),
            max_new_tokens=row.max_new_tokens,
            do_sample=False,
            **options,
        )
        return str(engine.processor.decode_answer(ids.tolist()))

    @pytest.mark.parametrize("penalty", [None, 1.3])
    def test_a_search_finds_what_transformers_does(self, engine: LocalEngine, penalty: float | None) -> None:
        given: dict[str, Any] = {} if penalty is None else {"repetition_penalty": penalty}
        found = asked(engine, GenerationOptions(beams=3, **given))
        assert found == self.wanted(engine, num_beams=3, **given)
        assert found != asked(engine, GenerationOptions(**given))

    def test_it_shares_a_call_with_other_requests(self, engine: LocalEngine) -> None:
        searched = replace(CAPTION, options=GenerationOptions(beams=2, temperature=0.7))
        expected = [engine.generate([it])[0].raw for it in (CAPTION, searched)]
        together = engine.generate([CAPTION, searched, CAPTION, searched])
        assert [it.raw for it in together] == expected * 2
        assert expected[1].startswith("".join(engine.stream(searched)).strip())

    def test_its_probabilities_are_the_models_own(self, engine: LocalEngine) -> None:
        narrow, wide = (engine._row(replace(CAPTION, options=GenerationOptions(beams=it))) for it in (1, 2))
        narrow.max_new_tokens = wide.max_new_tokens = 1  # the likeliest token is then the likeliest answer
        for _ in engine._decoder.decode([narrow, wide]):
            pass
        assert narrow.tokens == wide.tokens
        assert narrow.probabilities == pytest.approx(wide.probabilities)

    def test_one_that_nobody_waits_for_ends(self, engine: LocalEngine) -> None:
        row = engine._row(replace(CAPTION, options=GenerationOptions(beams=2)))
        row.given_up = True
        prompt = engine.model.embed(row.input_ids[None], row.pixel_values)
        assert len(list(row.search.find(engine.model, prompt, 50, 1, lambda: row.given_up))) == 1

    def test_a_server_has_one(self) -> None:
        engine = RemoteEngine.connect("http://127.0.0.1:9/v1#m")
        with pytest.raises(AssistantError, match="leave --beams out"):
            engine.generate([replace(CAPTION, options=GenerationOptions(beams=2))])


class TestLength:
    def test_it_replaces_the_tasks_own_and_leaves_room_for_the_prompt(self, engine: LocalEngine) -> None:
        row = engine._row(replace(CAPTION, options=GenerationOptions(max_new_tokens=7)))
        assert row.max_new_tokens == 7
        row = engine._row(replace(CAPTION, options=GenerationOptions(max_new_tokens=10**6)))
        assert row.max_new_tokens == 256  # half of the model's context


class TestRange:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"temperature": -0.1},
            {"temperature": float("nan")},
            {"top_p": 0},
            {"top_p": 1.1},
            {"repetition_penalty": 0},
            {"max_new_tokens": 0},
            {"seed": -1},
            {"beams": 0},
            {"beams": 17},
        ],
    )
    def test_an_option_out_of_range_is_named_in_one_line(self, wrong: dict[str, Any]) -> None:
        (name,) = wrong
        with pytest.raises(ValueError, match=rf"^{name} is .*: it must be .+$"):
            GenerationOptions(**wrong)


class TestTheFoldersDefaults:
    def write(self, folder: Path, **values: Any) -> None:
        path = folder / "generation_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def test_they_hold_where_a_request_names_none(self, folder: Path) -> None:
        (greedy,) = LocalEngine.load(str(folder), dtype=torch.float32).generate([CAPTION])
        self.write(folder, do_sample=True, temperature=0.9, top_p=0.95)
        engine = LocalEngine.load(str(folder), dtype=torch.float32)
        own = GenerationOptions(temperature=0.9, top_p=0.95, seed=3)
        assert asked(engine, GenerationOptions(seed=3)) == asked(engine, own) != greedy.raw
        assert asked(engine, GenerationOptions(temperature=0)) == greedy.raw
        self.write(folder, do_sample=False, num_beams=3)
        engine = LocalEngine.load(str(folder), dtype=torch.float32)
        assert asked(engine, GenerationOptions()) == asked(engine, GenerationOptions(beams=3)) != greedy.raw
        assert asked(engine, GenerationOptions(beams=1)) == greedy.raw

    def test_generate_of_transformers_has_them_too(self, folder: Path) -> None:
        self.write(folder, do_sample=True, temperature=0.9, max_new_tokens=5)
        model = LocalEngine.load(str(folder), dtype=torch.float32).model
        set_seed(0)
        batch = tiny_processor()([CAPTION.image], [CAPTION.turns])
        assert model.generate(**batch).shape[1] <= batch["input_ids"].shape[1] + 5
        assert (model.generation_config.do_sample, model.generation_config.temperature) == (True, 0.9)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("temperature", 0), ("top_p", 2.0), ("max_new_tokens", 0), ("num_beams", 17), ("top_k", 5)],
    )
    def test_a_wrong_one_is_named_with_its_file(self, folder: Path, name: str, value: Any) -> None:
        self.write(folder, **{name: value})
        with pytest.raises(WeightsError, match=rf"generation_config\.json: {name}: "):
            read_model_folder(folder)


class TestTheModel:
    def test_its_options_hold_for_every_task_and_a_requests_come_first(self, engine: LocalEngine) -> None:
        model = VisionLanguageModel(engine, SAMPLED)
        assert model.generate([CAPTION])[0].raw == asked(engine, SAMPLED)
        other = replace(SAMPLED, seed=9)
        assert model.generate([replace(CAPTION, options=other)])[0].raw == asked(engine, other)
        assert "".join(model.stream(CAPTION)).strip() == asked(engine, SAMPLED)
        assert model.with_options(other).generate([CAPTION])[0].raw == asked(engine, other)


class TestAServer:
    def test_it_gets_the_options_that_were_given(self) -> None:
        options = GenerationOptions(0.6, top_p=0.9, repetition_penalty=1.1, max_new_tokens=33, seed=5)
        with ModelServer() as server:
            model = VisionLanguageModel.load(server.address, options=options)
            model.generate([Request(None, "hello")])
            model.with_options(GenerationOptions(seed=6)).generate([Request(None, "hello")])
        sampled, greedy = server.chats
        names = ("temperature", "top_p", "repetition_penalty", "max_tokens", "seed")
        assert [sampled[name] for name in names] == [0.6, 0.9, 1.1, 33, 5]
        assert [greedy.get(name) for name in names] == [0, None, None, 1024, 6]

    def test_one_that_refuses_a_temperature_says_so_if_it_was_asked_for(self) -> None:
        def picky(handler: Handler, body: Body) -> None:
            refusal = fails(400, "temperature is not supported", "temperature")
            (refusal if "temperature" in body else says("hi"))(handler, body)

        with ModelServer(usually=picky) as server:
            model = VisionLanguageModel.load(server.address)
            assert model.generate([Request(None, "hello")])[0].raw == "hi"
            with pytest.raises(ServerError, match="temperature is not supported"):
                model.with_options(SAMPLED).generate([Request(None, "hello")])
