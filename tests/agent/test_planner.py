"""Plans made by rule, the prompts for the model, and the reading of what it writes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from assistant.agent import PastStep, PastTurn, Plan, PlanContext, Planner, Step
from assistant.agent.planner import SURE
from assistant.agent.replies import REPLIES
from assistant.vlm.answers import Completion, Continuation
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box
from assistant.vlm.planning import REPLIES as WRITTEN_REPLIES
from assistant.vlm.tasks import Task
from assistant.vlm.vision_language_model import VisionLanguageModel

from ..ui.fakes import ScriptedEngine

BOX, OTHER = Box(10, 20, 40, 60), Box(1, 2, 3, 4)
DOG = PastTurn("find the dog", (PastStep(Task.REFER, "the dog", (BOX,)),), "Here is the dog.")

DOGS = PastTurn("find all dogs", (PastStep(Task.DETECTION, "dogs", (OTHER, BOX)),), "I see 2 dogs.")


class Model:
    """Writes a given text and records the prompts."""

    def __init__(self, text: str = " chat cannot", probabilities: Sequence[float] = ()) -> None:
        self.text = text
        self.probabilities = probabilities
        self.asked: list[Completion] = []

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        self.asked += completions
        pieces = tuple(f" {word}" for word in self.text.split())
        probabilities = tuple(self.probabilities) or (0.99,) * len(pieces)
        return [Continuation(self.text, pieces, probabilities)]


def planned(message: str, context: PlanContext = PlanContext(), model: Model | None = None) -> Plan:  # noqa: B008
    return Planner(model or Model()).plan(message, context)


class TestWhatIsPlain:
    @pytest.mark.parametrize("message", ["", "   ", "?!", "…", "\n"])
    def test_a_region_without_a_message_is_identified(self, message: str) -> None:
        model = Model()
        plan = planned(message, PlanContext(region=BOX), model)
        assert plan.steps == (Step(Task.IDENTIFY, "", BOX),)
        assert not model.asked

    def test_an_empty_message_gets_a_request_to_clarify(self) -> None:
        assert planned("  ").steps == (Step(None, "", reply="unclear"),)

    @pytest.mark.parametrize("typed", ["[refer] the dog", "[ Refer ]: the dog", "the dog [refer]"])
    def test_a_typed_identifier_is_obeyed(self, typed: str) -> None:
        model = Model(" locate the dog")
        plan = planned(typed, model=model)
        assert plan.steps == (Step(Task.REFER, "the dog"),)
        assert plan.why == "[refer], because you typed it"
        assert plan.steps[0].typed == "the dog"
        (asked,) = model.asked
        assert asked.choices is not None
        assert asked.choices("") == [" locate"]

    def test_the_argument_of_an_identifier_is_reduced_to_the_thing(self) -> None:
        asked = "give me the place of the big dog"
        (step,) = planned(f"[refer] {asked}", model=Model(" locate the big dog")).steps
        assert (step.argument, step.typed) == ("the big dog", asked)
        (step,) = planned("[detection] box all of the dogs", model=Model(" detect dogs")).steps
        assert step == Step(Task.DETECTION, "dogs")

    def test_an_article_may_be_put_before_the_words_behind_an_identifier(self) -> None:
        assert planned("[refer] dog", model=Model(" locate the dog")).steps == (Step(Task.REFER, "the dog"),)

    @pytest.mark.parametrize("written", [" locate the cat", " locate big dogs"])
    def test_the_model_adds_no_word_to_the_argument_of_an_identifier(self, written: str) -> None:
        assert planned("[refer] the big dog", model=Model(written)).steps == (
            Step(Task.REFER, "the big dog"),
        )

    @pytest.mark.parametrize("typed", ["[vqa] is it red?", "[grounding] with the boxes", "[caption] please"])
    def test_other_arguments_of_an_identifier_stay_verbatim(self, typed: str) -> None:
        model = Model()
        (step,) = planned(typed, model=model).steps
        assert step.typed == typed.partition("] ")[2]
        assert not model.asked

    def test_earlier_turns_resolve_the_argument_of_an_identifier(self) -> None:
        model = Model(" answer what colour is the dog?")
        plan = planned("[vqa] what colour is it?", PlanContext((DOG,)), model)
        assert plan.steps == (Step(Task.VQA, "what colour is the dog?"),)
        for typed in ("[refer]", "[caption]", "[grounding] with the boxes"):
            unasked = Model()
            planned(typed, PlanContext((DOG,)), unasked)
            assert not unasked.asked

    @pytest.mark.parametrize(
        "typed",
        [
            "what does [refer] mean?",
            *(f"it {word} [refer]" for word in ("says", "means", "does", "is", "reads")),
            *(f"I {word} [refer]" for word in ("say", "mean", "read", "type")),
            *(f"it has {word} [refer]" for word in ("the", "a", "the word", "a lot of", "a sign saying")),
        ],
    )
    def test_a_mentioned_identifier_is_text(self, typed: str) -> None:
        model = Model(" answer what does it mean?")
        assert planned(typed, model=model).steps == (Step(Task.VQA, "what does it mean?"),)

    @pytest.mark.parametrize(
        ("typed", "steps"),
        [
            ("[identify] {<10><20><40><60>}", (Step(Task.IDENTIFY, "", BOX),)),
            ("[identify] (10,20,40,60) and (1,2,3,4)", (BOX, Box(1, 2, 3, 4))),
            ("[vqa] what is in [10,20,40,60]?", (Step(Task.VQA, "what is in this?", BOX),)),
            ("[refer] the dog in [10,20,40,60]", (Step(Task.REFER, "the dog", BOX),)),
            ("[detection] dogs at (10,20,40,60)", (Step(Task.DETECTION, "dogs", BOX),)),
            ("[caption] please", (Step(Task.CAPTION),)),
            ("[grounding] with colours", (Step(Task.GROUNDING, "with colours"),)),
            ("[identify]", (Step(Task.IDENTIFY),)),
        ],
    )
    def test_typed_regions_go_with_a_typed_identifier(self, typed: str, steps: tuple[Step, ...]) -> None:
        wanted = tuple(Step(Task.IDENTIFY, "", it) if isinstance(it, Box) else it for it in steps)
        assert planned(typed).steps == wanted

    @pytest.mark.parametrize("words", ["", "[vqa] "])
    def test_a_typed_region_outside_of_the_picture_is_refused(self, words: str) -> None:
        with pytest.raises(AssistantError, match="outside of the image of 640 x 480 pixels"):
            planned(f"{words}what is in [900, 10, 1200, 50]?", PlanContext(size=(640, 480)))

    def test_a_typed_identifier_takes_the_drawn_region_or_what_was_found(self) -> None:
        assert planned("[vqa] red?", PlanContext(region=BOX)).steps == (Step(Task.VQA, "red?", BOX),)
        assert planned("[identify]", PlanContext((DOG,))).steps == (Step(Task.IDENTIFY, "", BOX),)
        assert planned("[identify]", PlanContext((DOGS,))).steps == (Step(Task.IDENTIFY, "", OTHER),)
        drawn_too = planned("[vqa] is [10,20,40,60] red?", PlanContext(region=OTHER)).steps
        assert drawn_too == (Step(Task.VQA, "is this red?", BOX),)


class TestWhatTheModelPlans:
    def test_is_prompted_in_its_training_form(self) -> None:
        model = Model(" answer A1 what colour is the dog?")
        plan = planned("What colour is it?", PlanContext((DOG,)), model)
        (asked,) = model.asked
        assert asked.prompt == "- locate the dog A1\n> What colour is it?\n=>"
        assert asked.choices is not None
        assert asked.copied == " what colour is it?"
        assert plan.steps == (Step(Task.VQA, "what colour is the dog?", BOX),)
        assert plan.why == "[vqa], based on your message (probability 0.99)"

    def test_may_have_several_steps(self) -> None:
        plan = planned("...x", model=Model(" detect dogs ; answer how many dogs are there?"))
        assert [step.name for step in plan.steps] == ["detection", "vqa"]

    @pytest.mark.parametrize("trait", ["what colour is the dog?", "which breed is the dog?"])
    def test_asks_for_a_trait_of_what_it_finds_over_its_box(self, trait: str) -> None:
        found, asked = planned("...x", model=Model(f" locate the dog ; answer {trait}")).steps
        assert (found.region_from, asked.region_from) == (None, 0)

    @pytest.mark.parametrize(
        "written",
        [
            " detect dogs ; answer what colour is dogs?",
            " locate the dog ; answer what colour is the cat?",
            " locate the dog ; answer is the dog asleep?",
            " locate the dog ; answer A1 what colour is the dog?",
        ],
    )
    def test_asks_all_else_over_the_whole_picture_or_the_box_that_is_meant(self, written: str) -> None:
        steps = planned("...x", PlanContext((DOG,)), Model(written)).steps
        assert [step.region_from for step in steps] == [None, None]

    def test_asks_to_clarify_below_the_confidence_limit(self) -> None:
        unsure = Model(" locate the dog", (SURE - 0.01, 1.0, 1.0))
        assert planned("dog?", model=unsure).steps == (Step(None, "dog?", reply="unclear"),)
        sure = Model(" locate the dog", (SURE, 0.1, 0.1))
        assert planned("dog?", model=sure).steps == (Step(Task.REFER, "the dog"),)

    def test_counts_every_task_word(self) -> None:
        unsure = Model(" caption ; locate dogs", (0.9, 0.9, SURE / 2, 0.9))
        assert planned("dog?", model=unsure).steps[0].reply == "unclear"

    def test_reads_pixels_by_the_size_of_the_picture(self) -> None:
        model = Model(" identify T1")
        plan = planned("what is in 64,96,256,288?", PlanContext(size=(640, 480)), model)
        assert plan.steps == (Step(Task.IDENTIFY, "", BOX),)

    @pytest.mark.parametrize(
        "question",
        [
            "compare the two pictures",
            "Compare the images",
            "which dog is bigger, between the photos?",
            "do both pictures show a dog?",
            "what have the images in common, these two photos?",
            "is there a difference in the photos?",
            "is it the same man as in the previous picture?",
            "was the earlier image darker?",
            "and in the last photo?",
            "what is in the other picture?",
        ],
    )
    def test_over_several_pictures_is_refused(self, question: str) -> None:
        for written in (f" answer {question}", " answer is it?", " caption", " describe", " chat cannot"):
            assert planned(question, model=Model(written)).steps[0].reply == "several"
        caption, refused = planned(question, model=Model(f" caption ; answer {question}")).steps
        assert (caption.task, refused.reply) == (Task.CAPTION, "several")
        assert planned(question, model=Model(" chat thanks")).steps[0].reply == "thanks"

    @pytest.mark.parametrize(
        "question",
        [
            "how many pictures are on the wall?",
            "what is between the two pictures on the wall?",
            "do both photos in the frame show a dog?",
            "is there a lamp between the pictures hanging there?",
            "what is on the other picture frame?",
            "what is in this picture?",
        ],
    )
    def test_over_pictures_in_the_picture_is_answered(self, question: str) -> None:
        assert planned(question, model=Model(f" answer {question}")).steps == (Step(Task.VQA, question),)


class TestReplies:
    def test_there_is_one_for_each_that_the_model_writes(self) -> None:
        assert set(WRITTEN_REPLIES) < set(REPLIES)

    def test_are_the_assistants_own(self) -> None:
        assert planned("hi", model=Model(" chat hello")).steps == (Step(None, "hi", reply="hello"),)

    def test_what_cannot_be_served_is_left_to_a_model_that_can_talk(self) -> None:
        planner = Planner(Model(), talks=True)
        assert planner.plan("a poem").steps == (Step(None, "a poem"),)
        assert Planner(Model(" chat hello"), talks=True).plan("hi").steps[0].reply == "hello"


class TestTheWriter:
    DEFAULT = "assistant.vlm.engine.language_model.default_language_model"

    def test_uses_the_model_itself_if_it_was_trained_to_plan(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(self.DEFAULT)
        planner = Planner.for_model(VisionLanguageModel(ScriptedEngine()))
        assert planner.plan("where is the dog?").steps == (Step(Task.REFER, "the dog"),)

    def test_is_else_the_default_models_language_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self.DEFAULT, Model)
        engine = ScriptedEngine()
        engine.plans = False
        planner = Planner.for_model(VisionLanguageModel(engine))
        assert planner.plan("a poem").steps == (Step(None, "a poem"),)
