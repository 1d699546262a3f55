"""Requests for a description: a short one (caption), or a detailed one with boxes (grounding)."""

from __future__ import annotations

import re

from . import words
from .carriers import PICTURE

# --- grounding: a description that also tells where things are --------------------------------------------

_DESCRIPTION = re.compile(
    r"\b(?:describ\w+|descriptions?|caption\w*|narrat\w+|account|summar\w+|report|overview|depict|paragraph|"
    r"tell me (?:(?:all |everything )?about|all|everything|what)|talk about|walk (?:me|us) through|explain "
    r"(?:the|this|what)|"
    r"what (?:do |can )?(?:you|we) (?:can )?see|what(?:'s| is) (?:in|on|going on|happening)|write (?:(?:\w+ "
    r"){0,4}about|what))\b",
    re.IGNORECASE,
)
_PLACING = (
    r"(?:(?:bounding )?box(?:es)?|rectangles?|locations?|positions?|coordinates?|regions?|frames|outlines|"
    r"grounding|"
    r"whereabouts|bounding|placement)"
)
_WITH_PLACES = re.compile(
    rf"\b(?:with|including|include|plus|and|add|incl\.?|give|show|using|along with|together with|also|"
    rf"complete with)"
    rf" (?:the |all |their |its |object |matching |corresponding |exact |also )*{_PLACING}"
    r"(?! (?:around|of|for|on|over) (?:the|a|an|my|his|her)? ?(?!object|thing|item|element|everything|each|"
    r"every|all)\w)",
    re.IGNORECASE,
)
_PLACES = re.compile(
    rf"\b(?:{_PLACING}|ground(?:ed|ing)?|mark(?:ed|ing)?|locat(?:e|ed|ing)|locali[sz]\w+|outlin(?:e|ed|ing)|"
    r"highlight(?:ed|ing)?|box(?:ed|ing)?|point(?:ed|ing)? (?:out|at|to)|where|frame[ds]?|pinpoint\w*|"
    r"circl(?:e|ed|ing)|"
    r"indicat(?:e|ed|ing)|annotat\w+|link(?:ed|ing)?)\b",
    re.IGNORECASE,
)
_WHATEVER = re.compile(
    r"\b(?:(?:each|every|all|any|the|main|key|important|individual|those|these|different|various)"
    r" (?:of the |the |main |key |important |single |individual |different |visible )*"
    r"(?:objects?|things?|items?|elements?|nouns?|entit\w+|details?|parts?|phrases?|components?|subjects?)|"
    r"everything|every ?one of them|each of (?:them|these|those)|each one|they are|it is|they're|each (?:is|"
    r"stands|sits)|"
    r"(?<!could )(?<!can )(?<!would )(?<!will )(?<!must )(?<!should )(?:you|it|that) (?:mention|name|talk "
    r"about|describe|refer to|list|cite|see)s?|you(?:'ve| have) named|"
    r"(?:is|are|gets?|being) (?:mentioned|named|described|listed|cited)|mentioned|as you (?:go|mention|name)|"
    r"along the way|in the text|inline|while (?:describing|you)|them|whatever)\b",
    re.IGNORECASE,
)
_DETAIL = re.compile(
    r"\b(?:in (?:\w+ )?(?:depth|details?)|(?:as |more |very |most |so |fully )*detailed|thorough(?:ly)?|"
    r"exhaustive(?:ly)?|"
    r"comprehensive(?:ly)?|every (?:little |single |small )?detail|all (?:the |of the )?details|"
    r"elaborate(?:ly)?|"
    r"(?:long|full|complete|rich|extensive|careful|lengthy|proper|vivid|longer|fuller|richer) (?:\w+ )?"
    r"(?:description|account|caption|paragraph|report)|at length|extensively|as much (?:detail )?as|in full|"
    r"fully|"
    r"(?:long|whole|full) paragraph|several sentences|everything (?:about|you (?:can )?(?:see|notice)|that)|"
    r"all (?:that )?you (?:can )?see)\b",
    re.IGNORECASE,
)
_GROUNDED = re.compile(
    r"\bground(?:ed|ing)\b.{0,20}\b(?:caption\w*|description|describe|text|summary)|\bdescri\w+ "
    r".{0,40}\bground(?:ed|ing)\b|"
    rf"\bground (?:the|this|your) (?:{PICTURE}|caption|description|scene|answer|text)\b|^ground(?:ed|ing)(?: "
    rf"please)?$",
    re.IGNORECASE,
)
# "detail" that belongs to a smaller thing than the picture.
_OF_A_PART = re.compile(
    rf"\bdescri(?:be|bing|ption of)(?: me| to me)? (?:in (?:\w+ )?details? )?(?:the|his|her|its|their|that|a|"
    rf"an) (?!(?:\w+ )?"
    rf"(?:{PICTURE}|surroundings|view|situation|contents?|objects?|things?|elements?|main|different|image's|"
    rf"whole|full)\b)",
    re.IGNORECASE,
)


_TERSE = re.compile(
    r"(?:(?:detail(?:ed|s)?|description|boxes|bounding boxes|with|and|in|"
    r"plus)[\s,+]*)+",
    re.IGNORECASE,
)


def asks_for_grounding(text: str) -> bool:
    """Return whether a message wants a description in detail, or one that places what it mentions."""
    if _GROUNDED.search(text) or (_TERSE.fullmatch(text) and _DETAIL.search(text)):
        return True
    if not _DESCRIPTION.search(text) or _OF_A_PART.search(text):
        return False
    if _WITH_PLACES.search(text) or (_PLACES.search(text) and _WHATEVER.search(text)):
        return True
    return bool(_DETAIL.search(text)) and not _names_a_target(text)


_TARGETED = re.compile(
    r"\b(?:find|locate|detect|circle|count|how many|where (?:is|are)|(?:mark|box|highlight|frame) (?:the|all|"
    r"every))\b",
    re.I,
)


def _names_a_target(text: str) -> bool:
    return bool(_TARGETED.search(text))


def names_whatever(text: str) -> bool:
    """Return whether a text speaks of whatever is described: "mark each object you mention"."""
    return bool(_WHATEVER.search(text)) and not _DESCRIPTION.search(text)


def wants_more_detail(text: str) -> bool:
    """Return whether a text asks for an earlier description at greater length, or with boxes."""
    return bool(_MORE.search(text) or _WITH_PLACES.search(text))


def asks_for_shorter(text: str) -> bool:
    """Return whether a text asks for an earlier description in fewer words."""
    return bool(_SHORTER.fullmatch(text))


_MORE = re.compile(
    r"(?:(?:\w+ ){0,4}(?:(?:in )?(?:more|greater|full) detail(?:s|ed)?|longer|at length|in detail|detailed|"
    r"fuller|elaborate(?: on that)?|"
    r"expand(?: on that)?)(?: \w+){0,3}|(?:the |with )?(?:bounding )?boxes(?: too)?)$",
    re.IGNORECASE,
)
_SHORTER = re.compile(
    r"(?:(?:make|say|put|keep|give|can you|now|it|that|this|me|a|an|but|much|to|one) )*(?:short(?:er|en)?|"
    r"brief(?:er|ly)?|in (?:one|a few|fewer|a single|\d+|ten|five) "
    r"(?:words?|sentences?|lines?)|summari[sz]e|sum up|shorten)(?: it| that| please| version| one)*",
    re.IGNORECASE,
)


# --- captions ---------------------------------------------------------------------------------------------

_POINTER = (
    r"(?:this|the|that|my|our|your|a|an|attached|following|above|given|whole|entire|overall|uploaded|current|"
    r"whatever|"
    r"shown|provided)"
)
_AFTER_PICTURE = (
    r"(?: (?:here|above|below|you see|i (?:sent|uploaded|took|attached|gave|shared)(?: you)?|for me|to me))*"
)
_WHOLE = rf"(?:{_POINTER} )*(?:\w+ )?{PICTURE}{_AFTER_PICTURE}"
_IN_WHOLE = rf"(?:here|there|(?:(?:in|on|inside|within|at|from|about) )?(?:{_WHOLE}|this|here|view))"
_SEEN = (
    rf"what (?:do |can |could |did )?(?:you|we|i) (?:can |could )?(?:see|notice|observe|make out|got|"
    rf"have)(?: {_IN_WHOLE})?|"
    rf"what(?:'s| is| are| do we have| we have| can be| could be|) ?(?:there |seen |visible |shown |depicted "
    rf"|going on |"
    rf"happening |taking place |being shown |displayed |pictured |that |up )*(?:{_IN_WHOLE})|"
    r"what(?:'s| is) (?:going on|happening|depicted|shown|visible|there|taking place)"
)
_MANNER = (
    r"(?:[\s,:-]+(?:in|with|using|for|as|to|briefly|brief|short|shortly|only|just|quickly|simply|like|but|by|"
    r"within|under|"
    r"no more|max|maximum|that|so|if|no|one|a few|at most|keep|please|very|really|nothing|not)\b.{0,80})?"
)
_VERBS = (
    r"(?:describ(?:e|ing)|caption(?:ing)?|summari[sz](?:e|ing)|depict|narrate|sum up|explain|outline|present|"
    r"tell(?: me| us)?(?: something| a (?:little|bit)| more| a little bit)? about|talk(?: to me)? about|"
    r"say something(?: short| brief)? about|comment on|interpret)"
)
_HOW = (
    r"(?:(?:me|us|to me|for me|briefly|shortly|quickly|simply|please|in short|in brief|in one sentence|now) "
    r")*"
)
_NOUNS = (
    r"(?:caption|description|summary|alt(?:ernative)?[- ]?text|overview|one-liner|title|tagline|gist|"
    r"synopsis|"
    r"one sentence|sentence)"
)
_GIVING = (
    r"(?:(?:give|write|make|provide|create|generate|produce|get|suggest|add|propose|need|want|have|do|say|i "
    r"need|i want|"
    r"i'd like|i would like|draft|come up with|put|compose|show|tell|send|formulate|offer)(?: me| us| up)? )?"
)
_ADJECTIVES = r"(?:(?:a|an|the|some|one|another|your|just|only|very|and|[\w-]+,?) ){0,5}"
_CAPTIONS = tuple(
    re.compile(rf"(?:{pattern}){_MANNER}[\s.!?]*", re.IGNORECASE)
    for pattern in (
        rf"(?:(?:briefly|quickly|shortly|simply|concisely|please) )*{_VERBS} {_HOW}(?:{_WHOLE}|{_SEEN}|this|"
        rf"it|everything|here)",
        r"(?:(?:briefly|quickly|shortly|simply|concisely) )*(?:describe|caption|summari[sz]e)(?: it)?(?: "
        r"this)?",
        rf"{_GIVING}{_ADJECTIVES}{_NOUNS}(?: (?:of|for|about|on|to) (?:{_WHOLE}|{_SEEN}|this|it|here|"
        rf"everything))?",
        rf"{_WHOLE},? (?:caption|description|summary|describe|title|content)",
        _SEEN,
        rf"what(?:'s| is| does)? {_POINTER}(?: {PICTURE})?(?: is)? (?:of|about|showing|depicting|show|depict|"
        rf"contain|portray|"
        rf"represent|have|tell us|say about|an? {PICTURE} (?:of|about|showing))(?: us| me)?",
        rf"what(?:'s| is)? (?:in )?{_WHOLE}(?: is)?(?: (?:of|about|showing|depicting|mean))?",
        rf"what (?:kind of |sort of )?(?:{PICTURE}|thing) (?:is|are) (?:this|it|we looking at)",
        r"what (?:am i|are we|are you|i am|i'm|we are) (?:looking at|seeing|viewing)(?: here)?",
        rf"what (?:can|could|would) you (?:tell me|say|tell) about (?:{_WHOLE}|this|it)",
        rf"how (?:would|could|can|should) (?:you|i|we|one) {_VERBS} {_HOW}(?:{_WHOLE}|this|it)",
        r"what does it (?:show|depict|contain)|what happens(?: here)?|what(?: is|'s) it about",
        rf"what (?:things|objects) (?:do you see|can you see|are (?:there )?)(?: ?{_IN_WHOLE})?$(?!.)",
    )
)
# A caption spoken of in passing: "one plain sentence that says what it shows is enough".
_LOOSE = re.compile(
    r"\b(?:one|a|an|single|short|brief|quick|plain|simple|the|some) (?:[\w-]+ ){0,3}(?:caption|sentence|"
    r"description|alt text|summary|line|title)\b",
    re.IGNORECASE,
)
_ANY_PICTURE = re.compile(rf"\b{PICTURE}\b", re.IGNORECASE)
_FAULTY_MANNER = re.compile(
    r"\b(?:background|foreground|corner|hand|hands|left|right|middle|centre|"
    r"center)\b",
    re.I,
)


def asks_for_caption(text: str) -> bool:
    """Return whether a request, freed of its carriers, wants the whole picture described in short."""
    if _FAULTY_MANNER.search(text):
        return False
    found = set(re.findall(r"[\w'-]+", text.lower()))
    says_no_more = found <= words.CAPTION_WORDS and found & words.CAPTION_CUES and found & words.PICTURES
    return bool(says_no_more) or any(pattern.fullmatch(text) for pattern in _CAPTIONS)


def speaks_of_a_caption(text: str) -> bool:
    """Return whether a message that asks for nothing else wants a few words about the picture."""
    return bool(_LOOSE.search(text) and _ANY_PICTURE.search(text))
