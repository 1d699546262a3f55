"""Suites over answers in words: captions, questions, counting, names of regions."""

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

# The data set whose own measure WUPS is.
_DAQUAR = "daquar"


def caption_items(photo: Photo) -> list[Item]:
    """The caption of a photo that people have captioned."""
    return [Item(photo.image, Request(Task.CAPTION), photo.captions)] if photo.captions else []


def caption_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Captions: CIDEr-D and BLEU-4 against those of people."""
    measures, each = caption_scores(
        [answer.grounded.text for answer in answers], [item.texts for item in items]
    )
    return Scored(measures | {"malformed": malformed(items, answers)}, each)


def vqa_items(photo: Photo) -> list[Item]:
    """Each question that people asked about a photo, with every answer given to it."""
    accepted: dict[str, list[str]] = {}
    for it in photo.questions:
        accepted.setdefault(it.question, []).append(", ".join(it.answer))
    return [
        Item(photo.image, Request(Task.VQA, asked), tuple(texts), about=photo.source)
        for asked, texts in accepted.items()
    ]


def vqa_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Human questions: top-1 by source, and WUPS for those of DAQUAR.

    A blind answer is the commonest one to the other questions that begin with the same two words.
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
    except AssistantError as error:  # an extra that most do without: all else is measured all the same
        notes = (f"no WUPS: {error}",)
    return Scored(measures | {"malformed": malformed(items, answers)}, [float(hit) for hit in right], notes)


def _blind(items: Sequence[Item]) -> list[bool]:
    """Return which questions are answered rightly by what is mostly said to others of their first words."""
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
    """Top-1 as the reference measures it: the answer is the wanted one to the letter, but for case."""
    right = [
        _plain(answer) in {text.lower() for text in item.texts} for item, answer in paired(items, answers)
    ]
    measures = {"accuracy": proportion(right), "malformed": malformed(items, answers)}
    return Scored(measures, [float(hit) for hit in right])


def agreement_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """VizWiz as the reference measures it: a third for each person who gave the answer, at most 1."""
    each = [
        min([text.lower() for text in item.texts].count(_plain(answer)) / 3, 1.0)
        for item, answer in paired(items, answers)
    ]
    return Scored({"vqa_accuracy": mean(each), "malformed": malformed(items, answers)}, each)


def _plain(answer: Generation) -> str:
    return answer.grounded.text.replace("<unk>", "").strip().lower()


def consensus_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """VQAv2's accuracy, for sets with ten people's answers a question."""
    each = [vqa_accuracy(answer.grounded.text, item.texts) for item, answer in paired(items, answers)]
    return Scored({"vqa_accuracy": mean(each), "malformed": malformed(items, answers)}, each)


def counting_items(photo: Photo) -> list[Item]:
    """How many there are of each class whose boxes are beyond doubt."""
    labels = dict.fromkeys(it.label for it in photo.objects)
    return [
        Item(
            photo.image, Request(Task.VQA, f"how many {plural(label)} are there?"), (str(len(boxes)),), boxes
        )
        for label in labels
        if (boxes := certain_boxes(photo, label))
    ]


def counting_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Counting: exact, within one, and what always answering one would have."""
    pairs = [(len(item.boxes), number_in(answer.grounded.text)) for item, answer in paired(items, answers)]
    exact = [told == count for count, told in pairs]
    measures = {
        "exact": proportion(exact),
        "exact_if_always_one": proportion([count == 1 for count, _ in pairs]),
        "exact_of_several": proportion([told == count for count, told in pairs if count > 1]),
        "within_1": proportion([told is not None and abs(told - count) <= 1 for count, told in pairs]),
        "within_1_of_several": proportion(
            [told is not None and abs(told - count) <= 1 for count, told in pairs if count > 1]
        ),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [float(hit) for hit in exact])


def identify_items(photo: Photo) -> list[Item]:
    """One item a box: of several expressions for it, any names the class."""
    by_box = {it.box: it for it in expressions(photo)}
    return [
        Item(photo.image, Request(Task.IDENTIFY, region=box), (it.text,), (box,), it)
        for box, it in by_box.items()
    ]


def identify_score(items: Sequence[Item], answers: Sequence[Generation]) -> Scored:
    """Referring expression generation (REG): whether the class is named."""
    named = [_names(item.about, answer.grounded.text) for item, answer in paired(items, answers)]
    others = [hit for item, hit in zip(items, named, strict=True) if item.about.label != "person"]
    measures = {
        "exact_class": proportion(named),
        "exact_class_but_people": proportion(others),
        "malformed": malformed(items, answers),
    }
    return Scored(measures, [float(hit) for hit in named])


def _names(expression: Expression, text: str) -> bool:
    """Return whether a text names the expression's class; a photo's own class must be named to the letter."""
    if expression.kind is ExpressionKind.NAME:
        return normalise(text) == normalise(expression.text)
    return class_of(text) == expression.label


__all__ = ["agreement_score", "caption_items", "caption_score", "consensus_score", "counting_items"]
__all__ += ["counting_score", "exact_score", "identify_items", "identify_score", "vqa_items", "vqa_score"]
