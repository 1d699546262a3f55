"""Requests for a description: a short one (caption), or a detailed one with boxes (grounding)."""

from __future__ import annotations

import re

from . import words
from .carriers import PICTURE
from .words import any_of, compiled, phrases

# --- grounding: a description that also tells where things are --------------------------------------------

# Words that ask for a description, or announce one.
_DESCRIPTION = compiled(
    r"\b(?:describ\w+|descriptions?|caption\w*|narrat\w+|summar\w+|account|report|overview|depict|paragraph|"
    r"tell me (?:(?:all |everything )?about|all|everything|what(?:'s| is| are| there| all| you| we)(?= ))|"
    r"talk about|walk (?:me|us) through|"
    r"explain (?:the|this|what|all|everything)|write (?:(?:\w+ ){0,4}about|what)|"
    r"what (?:do |can )?(?:you|we) (?:can )?see|what(?:'s| is) (?:in|on|going on|happening))\b"
)
_PLACING = any_of(
    phrases(
        "(?:bounding )?box(?:es)?, rectangles?, frames, outlines, locations?, positions?, placement, "
        "whereabouts, coordinates?, regions?, grounding, bounding"
    )
)
_PLACING_VERBS = phrases(
    r"ground(?:ed|ing)?, mark(?:ed|ing)?, locat(?:e|ed|ing), locali[sz]\w+, outlin(?:e|ed|ing), "
    "frame[ds]?, highlight(?:ed|ing)?, box(?:ed|ing)?, point(?:ed|ing)? (?:out|at|to), where, "
    r"pinpoint\w*, annotat\w+, circl(?:e|ed|ing), indicat(?:e|ed|ing), link(?:ed|ing)?"
)
_PLACES = compiled(rf"\b(?:{_PLACING}|{any_of(_PLACING_VERBS)})\b")
# "with boxes", "and the positions of all objects"; not "and a box around the dog", which is a request.
_WITH_PLACES = compiled(
    r"\b(?:with|including|include|plus|and|add|incl\.?|give|show|using|also) "
    rf"(?:(?:the|all|their|its|object|matching|corresponding|exact|also) )*{_PLACING}"
    r"(?! (?:(?:around|of|for|on|over) (?:(?:the|a|an|my|his|her) )?|(?:the|a|an|my|his|her) )"
    r"(?!object|thing|item|element|everything|each|every|all)\w)"
)
_EVERY = phrases(
    "each, every, all, any, the, main, key, important, individual, those, these, different, various"
)
_THINGS = phrases(
    r"objects?, things?, items?, elements?, nouns?, entit\w+, details?, parts?, phrases?, components?, "
    "subjects?"
)
# Whatever the description will speak of.
_WHATEVER = compiled(
    r"\b(?:"
    rf"{any_of(_EVERY)} (?:of the )?(?:(?:the|main|key|important|single|individual|different|visible) )*"
    rf"{any_of(_THINGS)}|"
    r"everything|whatever|them|every ?one of them|each (?:of (?:them|these|those)|one|is|stands|sits)|"
    r"they are|it is|they're|"
    r"(?<!could )(?<!can )(?<!would )(?<!will )(?<!must )(?<!should )(?:you|it|that) "
    r"(?:mention|name|talk about|describe|refer to|list|cite|see)s?|you(?:'ve| have) named|mentioned|"
    r"(?:is|are|gets?|being) (?:named|described|listed|cited)|as you (?:go|mention|name)|along the way|"
    r"in the text|inline|while (?:describing|you))\b"
)
_LENGTHY = phrases(
    "long, longer, full, fuller, complete, rich, richer, extensive, careful, lengthy, proper, vivid, whole"
)
_DETAIL = compiled(
    r"\b(?:in (?:\w+ )?(?:depth|details?)|(?:\w+ )?detailed|thorough(?:ly)?|exhaustive(?:ly)?|"
    r"comprehensive(?:ly)?|elaborate(?:ly)?|extensively|at length|in full|fully|as much (?:detail )?as|"
    r"(?:every|all)(?: of)?(?: the)?(?: little| single| small)? details?|several sentences|"
    rf"{any_of(_LENGTHY)} (?:\w+ )?(?:description|account|caption|paragraph|report)|"
    r"everything (?:about|you (?:can )?(?:see|notice)|that)|all (?:that )?you (?:can )?see)\b"
)
_GROUNDED = compiled(
    r"\bground(?:ed|ing)\b.{0,20}\b(?:caption\w*|description|describe|text|summary)|"
    r"\bdescri\w+ .{0,40}\bground(?:ed|ing)\b|"
    rf"\bground (?:the|this|your) (?:{PICTURE}|caption|description|scene|answer|text)\b|"
    r"^ground(?:ed|ing)(?: please)?$"
)
# "detail" that belongs to a smaller thing than the picture.
_OF_A_PART = compiled(
    r"\bdescri(?:be|bing|ption of)(?: me| to me)? (?:in (?:\w+ )?details? )?"
    r"(?:the|his|her|its|their|that|a|an) "
    rf"(?!(?:\w+ )?(?:{PICTURE}|image's|surroundings|view|situation|contents?|objects?|things?|elements?|"
    r"main|different|whole|full)\b)"
)
# "detailed", "description + boxes"
_TERSE = compiled(r"(?:(?:detail(?:ed|s)?|description|boxes|bounding boxes|with|and|in|plus)[\s,+]*)+")
# A request for something of its own, besides which a detailed description is not what "detail" means.
_TARGETED = compiled(
    r"\b(?:find|locate|detect|circle|count|how many|where (?:is|are)|"
    r"(?:mark|box|highlight|frame) (?:the|all|every))\b"
)
_MORE = compiled(
    r"(?:(?:\w+ ){0,4}(?:(?:in )?(?:more|greater|full) detail(?:s|ed)?|in detail|detailed|longer|fuller|"
    r"at length|(?:elaborate|expand)(?: on that)?)(?: \w+){0,3}|"
    r"(?:(?:the|with) )?(?:bounding )?boxes(?: too)?)$"
)
_SHORTER = compiled(
    r"(?:(?:make|say|put|keep|give|can you|now|it|that|this|me|a|an|but|much|to|one) )*"
    r"(?:short(?:er|en)?|brief(?:er|ly)?|summari[sz]e|sum up|"
    r"in (?:one|a few|fewer|a single|\d+|ten|five) (?:words?|sentences?|lines?))"
    r"(?: it| that| please| version| one)*"
)


def asks_for_grounding(text: str) -> bool:
    """Return whether a message wants a description in detail, or one that places what it mentions."""
    if _GROUNDED.search(text) or (_TERSE.fullmatch(text) and _DETAIL.search(text)):
        return True
    if not _DESCRIPTION.search(text) or _OF_A_PART.search(text):
        return False
    if _WITH_PLACES.search(text) or (_PLACES.search(text) and _WHATEVER.search(text)):
        return True
    return bool(_DETAIL.search(text)) and not _TARGETED.search(text)


def names_whatever(text: str) -> bool:
    """Return whether a text speaks of whatever is described: "mark each object you mention"."""
    return bool(_WHATEVER.search(text)) and not _DESCRIPTION.search(text)


def wants_more_detail(text: str) -> bool:
    """Return whether a text asks for an earlier description at greater length, or with boxes."""
    return bool(_MORE.search(text) or _WITH_PLACES.search(text))


def asks_for_shorter(text: str) -> bool:
    """Return whether a text asks for an earlier description in fewer words."""
    return bool(_SHORTER.fullmatch(text))


# --- captions: the whole picture in short -----------------------------------------------------------------

_POINTERS = phrases(
    "this, the, that, my, our, your, a, an, attached, following, above, given, whole, entire, overall, "
    "uploaded, current, whatever, shown, provided"
)
_POINTER = any_of(_POINTERS)
_WHOLE = (
    rf"(?:{_POINTER} )*(?:\w+ )?{PICTURE}"
    r"(?: (?:here|above|below|you see|i (?:sent|uploaded|took|attached|gave|shared)(?: you)?|(?:for|to) me))*"
)
_IN_WHOLE = rf"(?:here|there|(?:(?:in|on|inside|within|at|from|about) )?(?:{_WHOLE}|this|here|view))"
_SHOWN = any_of(
    phrases(
        "going on, happening, taking place, depicted, displayed, pictured, (?:being )?shown, seen, "
        "visible, there, that, up"
    )
)
# "what do you see here", "what is going on in this picture"
_SEEN = (
    r"(?:what (?:do |can |could |did )?(?:you|we|i) (?:can |could )?(?:see|notice|observe|make out|got|have)"
    rf"(?: {_IN_WHOLE})?|"
    r"what(?:'s| is| are| do we have| we have| can be| could be)? ?"
    rf"(?:{_SHOWN}(?: {_SHOWN})* {_IN_WHOLE}|{_IN_WHOLE})|"
    rf"what(?:'s| is) {_SHOWN})"
)
_DESCRIBE = (
    r"(?:describ(?:e|ing)|caption(?:ing)?|summari[sz](?:e|ing)|depict|narrate|sum up|explain|outline|present|"
    r"comment on|interpret|talk(?: to me)? about|say something(?: short| brief)? about|"
    r"tell(?: me| us)?(?: something| more| a (?:little )?bit| a little)? about)"
)
_SHORTLY = "(?:briefly|quickly|shortly|simply|concisely|please)"
_ASIDE = rf"(?:(?:me|us|to me|for me|now|in short|in brief|in one sentence|{_SHORTLY}) )*"
_CAPTION = (
    r"(?:caption|description|summary|alt(?:ernative)?[- ]?text|overview|one-liner|title|tagline|gist|"
    r"synopsis|(?:one )?sentence)"
)
_GIVERS = phrases(
    "give, write, make, provide, create, generate, produce, get, suggest, add, propose, (?:i )?need, "
    "(?:i )?want, i'd like, i would like, have, do, say, draft, come up with, put, compose, show, tell, "
    "send, formulate, offer"
)
_A_SHORT = r"(?:(?:a|an|the|some|one|another|your|just|only|very|and|[\w-]+,?) ){0,5}"
_THIS = rf"(?:{_WHOLE}|this|it|here)"
# What may follow: "in one sentence", "but keep it short", "for a blind person".
_MANNERS = phrases(
    r"(?:in|with|using|for|as|to|by|within|under|like|but|so|that|if)\b(?= \S), brief, briefly, short, "
    "shortly, quickly, simply, only, just, nothing, no, no more, not, one, a few, at most, max, maximum, "
    "keep, please, very, really"
)
_CAPTIONS = compiled(
    any_of(
        (
            rf"(?:{_SHORTLY} )*{_DESCRIBE} {_ASIDE}(?:{_THIS}|{_SEEN}|everything)",
            rf"(?:{_SHORTLY} )*(?:describe|caption|summari[sz]e)",
            rf"(?:{any_of(_GIVERS)}(?: me| us| up)? )?{_A_SHORT}{_CAPTION}"
            rf"(?: (?:of|for|about|on|to) (?:{_THIS}|{_SEEN}|everything))?",
            rf"{_WHOLE},? (?:{_CAPTION}|describe|content)",
        ),
        (
            _SEEN,
            rf"what(?:'s| is| does)? {_POINTER}(?: {PICTURE})?(?: is)? "
            rf"(?:of|about|show(?:ing)?|depict(?:ing)?|contain|portray|represent|have|tell us|say about|"
            rf"an? {PICTURE} (?:of|about|showing))(?: us| me)?",
            rf"what (?:(?:kind|sort) of )?(?:{PICTURE}|thing) (?:is|are) (?:this|it|we looking at)",
            r"what (?:am i|are we|are you|i am|i'm|we are) (?:looking at|seeing|viewing)(?: here)?",
            rf"what (?:can|could|would) you (?:tell me|say|tell) about {_THIS}",
            rf"how (?:would|could|can|should) (?:you|i|we|one) {_DESCRIBE} {_ASIDE}{_THIS}",
            r"what (?:does it (?:show|depict|contain)|happens(?: here)?|is it about)",
            rf"what (?:things|objects) (?:(?:do|can) you see|are(?: there)?)(?: {_IN_WHOLE})?",
        ),
    )
    + rf"(?:[\s,:-]+{any_of(_MANNERS)}\b.{{0,80}})?[\s.!?]*"
)
# A caption spoken of in passing: "one plain sentence that says what it shows is enough".
_LOOSE = compiled(
    r"\b(?:one|a|an|single|short|brief|quick|plain|simple|the|some) (?:[\w-]+ ){0,3}"
    r"(?:caption|sentence|description|alt text|summary|line|title)\b"
)
_ANY_PICTURE = compiled(rf"\b{PICTURE}\b")
# A part of the picture is no manner: "what is there in the background".
_OF_A_CORNER = compiled(r"\b(?:background|foreground|corner|hands?|left|right|middle|cent(?:re|er))\b")
_WORD = re.compile(r"[\w'-]+")


def asks_for_caption(text: str) -> bool:
    """Return whether a request, freed of its carriers, wants the whole picture described in short."""
    if _OF_A_CORNER.search(text):
        return False
    found = set(_WORD.findall(text.lower()))
    says_no_more = found <= words.CAPTION_WORDS and found & words.CAPTION_CUES and found & words.PICTURES
    return bool(says_no_more or _CAPTIONS.fullmatch(text))


def speaks_of_a_caption(text: str) -> bool:
    """Return whether a message that asks for nothing else wants a few words about the picture."""
    return bool(_LOOSE.search(text) and _ANY_PICTURE.search(text))
