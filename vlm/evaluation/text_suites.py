"""Suites for text answers: captions, questions, counting, names of regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..answers import Generation, Request
from ..data.expressions import Expression, ExpressionKind, expressions
from ..data.instructions import certain_boxes
from ..data.nouns import class_of, plural
from ..data.photos import Photo
from ..errors import AssistantError
from ..tasks import Task
from .answers import normalise, number_in, same_answer, things, vqa_accuracy
from .captions import caption_scores
from .items import Item, Scored, malformed, paired
from .metrics import Measure, mean, proportion
from .wups import wordnet_similarity, wups

# The dataset that is measured by WUPS.
_DAQUAR = "daquar"


def caption_items(photo: Photo) -> list[Item]:
    """Return a caption item if the photo has human captions."""
    return [Item(photo.image, Request(Task.CAPTION), photo.captions)] if photo.captions else []


def caption_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score captions: CIDEr-D and BLEU-4 against the human ones."""
    measures, each = caption_scores(
        [answer.grounded.text for answer in answers], [item.texts for item in items]
    )
    return Scored(measures | {"malformed": malformed(items, answers)}, each)


def vqa_items(photo: Photo) -> list[Item]:
    """Return an item for each human question, with all its answers."""
    accepted: dict[str, list[str]] = {}
    for it in photo.questions:
        accepted.setdefault(it.question, []).append(", ".join(it.answer))
    return [
        Item(photo.image, Request(Task.VQA, asked), tuple(texts), about=photo.source)
        for asked, texts in accepted.items()
    ]


def vqa_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score human questions: top-1 by source, and WUPS for those of DAQUAR.

    A blind answer is the most frequent one to other questions with the same first two words.
    """
    texts = [answer.grounded.text for answer in answers]
    right = [any(same_answer(text, it) for it in item.texts) for item, text in zip(items, texts, strict=True)]
    single = [hit for item, hit in zip(items, right, strict=True) if len(things(item.texts[0])) == 1]
    blind = _blind(items)
    measures = {
        "top_1": proportion(right),
        "top_1_single": proportion(single),
        "top_1_blind": proportion(blind),
    }
    for source in sorted({item.about for item in items}):
        of = [index for index, item in enumerate(items) if item.about == source]
        measures[f"top_1_{source}"] = proportion([right[index] for index in of])
        measures[f"top_1_{source}_blind"] = proportion([blind[index] for index in of])
    notes: tuple[str, ...] = ()
    try:
        measures |= _wups_of_daquar(items, texts)
    except AssistantError as error:  # WordNet is optional: report the other measures
        notes = (f"no WUPS: {error}",)
    return Scored(measures | {"malformed": malformed(items, answers)}, [float(hit) for hit in right], notes)


def _blind(items: Sequence[Item]) -> list[bool]:
    """Return which questions the most frequent answer to others with the same first words gets right."""
    kinds = [(item.about, *normalise(item.request.argument).split()[:2]) for item in items]
    answers: dict[tuple[str, ...], Counter[str]] = {}
    for kind, item in zip(kinds, items, strict=True):
        answers.setdefault(kind, Counter())[item.texts[0]] += 1
    found = []
    for kind, item in zip(kinds, items, strict=True):
        others = answers[kind] - Counter([item.texts[0]])
        found.append(bool(others) and any(same_answer(others.most_common(1)[0][0], it) for it in item.texts))
    return found


def _wups_of_daquar(items: Sequence[Item], texts: Sequence[str]) -> dict[str, Measure]:
    pairs = [(item.texts, text) for item, text in zip(items, texts, strict=True) if item.about == _DAQUAR]
    if not pairs:
        return {}
    similarity = wordnet_similarity()

    def score(threshold: float) -> Measure:
        return mean([max(wups(text, it, threshold, similarity) for it in wanted) for wanted, text in pairs])

    return {"wups_0.9": score(0.9), "wups_0.0": score(0.0)}


def exact_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score top-1 like the reference: the answer equals a right one, ignoring case."""
    right = [
        _plain(answer) in {text.lower() for text in item.texts} for item, answer in paired(items, answers)
    ]
    measures = {"accuracy": proportion(right), "malformed": malformed(items, answers)}
    return Scored(measures, [float(hit) for hit in right])


def agreement_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score VizWiz like the reference: a third for each person who gave the answer, at most 1."""
    each = [
        min([text.lower() for text in item.texts].count(_plain(answer)) / 3, 1.0)
        for item, answer in paired(items, answers)
    ]
    return Scored({"vqa_accuracy": mean(each), "malformed": malformed(items, answers)}, each)


def _plain(answer: Generation) -> str:
    return answer.grounded.text.replace("<unk>", "").strip().lower()


def consensus_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score VQAv2's accuracy, for datasets with ten answers per question."""
    each = [vqa_accuracy(answer.grounded.text, item.texts) for item, answer in paired(items, answers)]
    return Scored({"vqa_accuracy": mean(each), "malformed": malformed(items, answers)}, each)


def counting_items(photo: Photo) -> list[Item]:
    """Return a counting question for each class whose boxes are all certain."""
    return [
        Item(
            photo.image, Request(Task.VQA, f"how many {plural(label)} are there?"), (str(len(boxes)),), boxes
        )
        for label in photo.labels
        if (boxes := certain_boxes(photo, label))
    ]


def counting_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score counting: exact, within one, and the baseline of always answering one."""
    pairs = [(len(item.boxes), number_in(answer.grounded.text)) for item, answer in paired(items, answers)]
    exact = [answer == count for count, answer in pairs]
    measures = {
        "exact": proportion(exact),
        "exact_if_always_one": proportion([count == 1 for count, _ in pairs]),
        "exact_of_several": proportion([answer == count for count, answer in pairs if count > 1]),
        "within_1": proportion([answer is not None and abs(answer - count) <= 1 for count, answer in pairs]),
        "within_1_of_several": proportion(
            [answer is not None and abs(answer - count) <= 1 for count, answer in pairs if count > 1]
        ),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [float(hit) for hit in exact])


def identify_items(photo: Photo) -> list[Item]:
    """Return one item per box; if it has several expressions, the last one."""
    by_box = {it.box: it for it in expressions(photo)}
    return [
        Item(photo.image, Request(Task.IDENTIFY, region=box), (it.text,), (box,), it)
        for box, it in by_box.items()
    ]


def identify_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Score referring expression generation (REG): whether the answer names the class."""
    named = [_names(item.about, answer.grounded.text) for item, answer in paired(items, answers)]
    others = [hit for item, hit in zip(items, named, strict=True) if item.about.label != "person"]
    measures = {
        "exact_class": proportion(named),
        "exact_class_but_people": proportion(others),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [float(hit) for hit in named])


def _names(expression: Expression, text: str) -> bool:
    """Return whether a text names the expression's class; a photo's `name` must match exactly."""
    if expression.kind is ExpressionKind.NAME:
        return normalise(text) == normalise(expression.text)
    return class_of(text) == expression.label
