"""Phrases that carry a request without being part of it: openers before it, closers behind it."""

from __future__ import annotations

import re

from ..vlm.tasks import Task
from . import words
from .words import any_of, compiled, one_of, phrases

PICTURE = one_of(words.PICTURES)

# --- where a request begins -------------------------------------------------------------------------------

WH_WORD = r"(?:what|who|whose|which|when|where|whereabouts|why|how)(?:'s|'re|'d)?\b"
AUXILIARY = any_of(
    phrases(
        "is, are, was, were, do, does, did, has, have, had, can, could, will, would, should, may, might, "
        "isn't, aren't, wasn't, doesn't, don't, didn't, can't, hasn't, haven't"
    )
)
_SUBJECTS = phrases(
    "the, a, an, this, that, these, those, he, she, it, they, there, his, her, their, its, my, your, you, "
    "i, we, one, any, anyone, anybody, someone, everyone, everybody, all, both, most, some, people, "
    r"either, each, every, more, \w+ of"
)
_SUBJECT = any_of(_SUBJECTS) + r"\b"
_OBJECTS = phrases(
    "the, a, an, all, every, each, any, both, his, her, their, its, my, it, him, them, me, out, to, at, "
    r"around, where, \d+, those, these, this, that, one, everything, everyone, anything, what, who, "
    "whoever, whatever, in, up"
)
# Verbs that are nouns too ask for something only before an object: "circle the dog", not "the circle".
MARKING = rf"{one_of(words.MARKING)}\b(?=\s*(?::|{any_of(_OBJECTS)}\b))"
_GIVING = (
    r"(?:draw|put|place|add|give|get|send|return|provide|generate|produce|create|make|output|want|need)\s+"
    r"(?:(?:me|us|up)\s+)?(?:a|an|the|its|some|one|another|bounding|box|boxes|short|brief|detailed|location)\b"
)
REQUEST = any_of(
    (
        rf"{one_of(words.FINDING | words.DESCRIBING | words.MAKING)}\b",
        MARKING,
        rf"{one_of(words.SEEING)}\b(?=\s+\S)",
        _GIVING,
        r"(?:(?:look|search|hunt|scan|zoom)\s+(?:for|around|in|to)|sum up)\b",
        WH_WORD,
        rf"(?:{AUXILIARY}|whether|if)\s+{_SUBJECT}",
        rf"\[\s*(?:{'|'.join(Task)})\s*\]",
    )
)
_BEFORE_REQUEST = rf"(?={REQUEST})"
_BEFORE_CLAUSE = rf"(?=(?:{WH_WORD}|(?:if|whether)\b))"

# --- openers ----------------------------------------------------------------------------------------------

# Words that join or soften; not where they belong to a phrase ("next to", "just left of").
_SOFT = phrases(
    "please(?: to)?, kindly, ok, okay, so, um+, uh+, hmm+, and, then, but, also, just, finally, lastly, "
    "quickly, roughly, approximately, now, afterwards, hey, btw, next, again, maybe, perhaps, instead, "
    "after that"
)
# Greetings and answers, cut off by a comma or before a request.
_GREETINGS = phrases(
    "hi, hello, dear, good (?:morning|evening|afternoon|day), yes, yeah, sure, great, cool, nice, perfect, "
    "awesome, thanks, thank you, well, right, alright, oh, wow, sorry, excuse me, pardon, by the way, "
    "actually, no worries, first(?:ly)?, second(?:ly)?, third(?:ly)?, (?:a )?(?:quick )?question, "
    "one more(?: thing| question)?, another (?:question|one|thing)"
)
_GREETED = phrases(
    "assistant, bot, there, friend, mate, buddy, sir, all, everyone, again, so much, very much"
)
_POLITE = phrases(
    "please, kindly, maybe, possibly, perhaps, just, also, first, quickly, then, now, help me(?: to)?, "
    "try (?:to|and), to, like to, be so kind (?:as to|and), be kind enough to, be able to, have, for me"
)
_MIND = r"(?:would|do) you mind\s+(?:please )?(?=\w+ing\b)|(?:do you )?fancy\s+(?=\w+ing\b)"
# "I would like you to find the dog", "can you help me to find it"
_WISHES = (
    r"(?:i'd|i would|i(?: really| just| do| also)?) (?:want|need|like|love|wish|prefer|have|try)"
    r"(?: for)?(?: you)?(?: to)?(?: please)?\s+",
    r"(?:(?:can|could|would|will|may|might|shall) (?:you|we|someone|i)|are you able to|"
    rf"you (?:can|could|must|should|have to|need to))(?: {any_of(_POLITE)})*,?\s+",
    r"(?:(?:would it be|is it|it is|would be) possible|is there (?:a|any) way) (?:for (?:you|me|us) )?to\s+",
    r"i(?:'m| am) trying to\s+",
    r"(?:help (?:me|us)|try|let's|let us|go ahead and|do me a favou?r(?: and|,)|be so kind(?: as to| and)|"
    r"feel free to|your (?:task|job) is to)(?: (?:to|and|please))*\s+",
)
# "tell me in one sentence what ..."
_BRIEFLY = (
    "(?:in (?:(?:a|one|two|few|single|short|plain) )*(?:words?|sentences?|lines?)|briefly|quickly|shortly)"
)
# "I would like to know where the dog is", "tell me what it eats"
_WONDERING = (
    r"(?:i'd|i would|i(?: really| just)?) (?:want|need|like|love|wish) to "
    r"(?:know|learn|understand|hear|see|check|find out)\s+(?:about )?",
    r"(?:to )?(?:know|understand|find out|figure out|work out|check|verify|determine|see|decide|learn)\s+",
    r"(?:(?:do|would) you (?:know|have any idea|happen to know)|(?:any|no) idea)\s+(?:of )?",
    r"i (?:don't know|can't (?:tell|see|figure out|make out)|am not sure|wonder)\s+",
    r"(?:tell|show|explain|give|inform|let|say|guess)(?: to)?(?: me| us)?(?: know)?(?:,? please)?"
    rf"(?: exactly)?(?: {_BRIEFLY})?,?\s+(?:about )?(?:just )?",
)
_LOOKING = any_of(
    phrases(
        "take a (?:close |good )?look at, look(?:ing)? (?:closely |carefully )?at, analy[sz]e, examine, "
        "inspect, study, check(?: out)?, consider, given, based on, according to, judging from, from, in, "
        "for, on, with, using, regarding, see, here(?:'s| is), this is"
    )
)
# What a message may open with before the words that say what is wanted.
_OPENER = compiled(
    any_of(
        (
            r"[-*•>\s]+|\(?\d{1,2}[.)]\s+|[,.:;!?]+\s*",  # list marks and stray punctuation
            rf"{any_of(_SOFT)}\b[\s,:.!-]+(?!(?:of|on|to|left|right|in)\b)",
            rf"{any_of(_GREETINGS)}(?: of all)?(?: {any_of(_GREETED)})?"
            rf"(?:\s*[,:;.!]+\s*|\s+{_BEFORE_REQUEST})",
            # "if you don't mind", "if it's not too much trouble"
            r"if it(?:'s| is)(?: not|n't) too much (?:trouble|bother|hassle|to ask)[\s,]+",
            r"if (?:you|it|that)(?:'s| is)? ?(?:can|could|would|please|don't mind|want|possible|ok|okay|"
            r"have (?:a )?(?:time|minute))\b[\s,]+",
            r"(?:may|can|could|might) i (?:ask|trouble|bother|get|have) you to\s+",
            r"(?:is there )?any chance (?:that )?(?:of )?you (?:can|could|would)\s+",
            r"(?:i was wondering|i wonder(?:ed)?|(?:i'm|i am) (?:wondering|curious))"
            r"(?: about| to know| (?:if|whether) you (?:can|could|would))?,?\s+",
            _MIND,
            rf"{any_of(_WISHES)}{_BEFORE_REQUEST}",
            rf"{any_of(_WONDERING)}{_BEFORE_CLAUSE}",
            r"(?:answer|reply)(?: to)?(?: me)?(?: this| the following| my)?(?: question)?\s*[:,]\s*",
            # "look at this picture and ..."
            rf"(?:(?:can|could) you )?{_LOOKING} (?:this|the|my|that|our|an?) (?:\w+ )?{PICTURE}"
            r"(?: (?:here|below|above|carefully|closely|now|please|of mine))*"
            rf"(?:\s*[,.:;!]\s*(?:and |then )?|\s+(?:and|then)\s+|\s+{_BEFORE_REQUEST})",
        )
    )
)

# --- closers ----------------------------------------------------------------------------------------------

_CLOSERS = phrases(
    "please, now please, thanks(?: (?:a lot|so much|in advance))?, thank you(?: (?:so|very) much)?, "
    "many thanks, cheers, in advance, for (?:me|us), if you (?:can|could|would|please), "
    "if (?:that's )?possible, if you don't mind, when you can, (?:will|would|can|could) you, will ya, "
    "would you kindly, kindly, ok, okay, mate, buddy, asap, right now, now, quickly, somehow, "
    "or something, i (?:mean|meant), i (?:can't|cannot|couldn't) (?:find|see|spot) (?:it|him|her|them), lol, "
    "haha, xx, s'il te pla[iî]t, bitte, por favor"
)
_CLOSER = compiled(rf"[\s,;:.!?-]*(?<![\w']){any_of(_CLOSERS)}[\s.!?…]*$")
_LONGEST_CLOSER = 60

_STARTS_REQUEST = compiled(REQUEST)
_MINDING = compiled(_MIND)
_GERUND = re.compile(r"\w+ing\b")


def trim(text: str) -> str:
    """Return a request without what carries it: `Could you please find the dog for me?` -> `find the dog`."""
    text = text.strip()
    while (match := _OPENER.match(text)) and match.end() < len(text):
        gerund = _GERUND.match(text, match.end()) if _MINDING.match(text) else None
        text = _base(gerund[0]) + text[gerund.end() :] if gerund else text[match.end() :]
    return _without_closers(text)


def starts_request(text: str) -> bool:
    """Return whether a request begins with the first word of `text` once its openers are gone."""
    return bool(_STARTS_REQUEST.match(trim(text))) and not _CLOSER.fullmatch(f" {text}")


def _base(gerund: str) -> str:
    """Return the verb of a gerund: `locating` -> `locate`, `spotting` -> `spot`, `pointing` -> `point`."""
    stem = gerund.lower().removesuffix("ing")
    verbs = words.FINDING | words.MARKING | words.DESCRIBING | words.SEEING | words.MAKING
    return next(
        (verb for verb in (stem, stem + "e", stem[:-1]) if verb in verbs),
        stem if stem[-1:] != stem[-2:-1] else stem[:-1],
    )


def _without_closers(text: str) -> str:
    while True:
        tail = text[-_LONGEST_CLOSER:]
        match = _CLOSER.search(tail)
        cut = len(text) - len(tail) + match.start() if match else 0
        if not cut:
            return text
        mark = "?" if text.rstrip().endswith("?") else ""
        text = text[:cut].rstrip(" ,;:.!?-") + mark
