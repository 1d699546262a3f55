"""Phrases that carry a request without being part of it: openers before it, closers behind it.

`{request}` stands for "a request begins here" and `{clause}` for "an indirect question begins here".
"""

from __future__ import annotations

import re

from . import words

PICTURE = words.one_of(words.PICTURES)

# --- where a request begins -------------------------------------------------------------------------------

WH_WORD = r"(?:what|who|whose|which|when|where|whereabouts|why|how)(?:'s|'re|'d)?\b"
SUBJECT = (
    r"(?:the|a|an|this|that|these|those|he|she|it|they|there|his|her|their|its|any|anyone|anybody|someone|"
    r"everyone|everybody|all|both|you|i|we|one|my|your|most|some|people|either|each|every|more|\w+ of)\b"
)
AUXILIARY = (
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|"
    r"isn't|aren't|wasn't|doesn't|don't|didn't|can't|hasn't|haven't)"
)
# Verbs that are nouns too ask for something only before an object: "circle the dog", not "the circle".
MARKING = (
    rf"{words.one_of(words.MARKING)}\b(?=\s*(?::|(?:the|a|an|all|every|each|any|both|his|her|their|its|my|it|"
    rf"him|them|"
    r"me|out|to|at|around|where|\d+|those|these|this|that|one|everything|everyone|anything|what|who|whoever|"
    r"whatever|in|"
    r"up)\b))"
)
_SEEING = rf"{words.one_of(words.SEEING)}\b(?=\s+\S)"
_GIVING = (
    r"(?:draw|put|place|add|give|get|send|return|provide|generate|produce|create|make|output|want|need)"
    r"\s+(?:me\s+|us\s+|up\s+)?(?:a|an|the|its|some|one|another|bounding|box|boxes|short|brief|detailed|"
    r"location)\b"
)
_SEARCHING = r"(?:(?:look|search|hunt|scan|zoom)\s+(?:for|around|in|to)|sum up)\b"
REQUEST = (
    rf"(?:(?:{words.one_of(words.FINDING)}|{words.one_of(words.DESCRIBING)}|{words.one_of(words.MAKING)})\b|"
    rf"{MARKING}|"
    rf"{_SEEING}|{_GIVING}|{_SEARCHING}|{WH_WORD}|(?:whether|if)\s+{SUBJECT}|{AUXILIARY}\s+{SUBJECT}|"
    r"\[\s*(?:caption|vqa|refer|detection|grounding|identify)\s*\])"
)
_CLAUSE = rf"(?:{WH_WORD}|(?:if|whether)\b)"

# --- openers ----------------------------------------------------------------------------------------------

_POLITE = (
    r"(?:please|kindly|maybe|possibly|perhaps|just|also|first|quickly|then|now|help me(?: to)?|try (?:to|"
    r"and)|to|"
    r"like to|"
    r"be so kind (?:as to|and)|be kind enough to|be able to|have|for me)"
)
_MIND = r"(?:would|do) you mind\s+(?:please )?(?=\w+ing\b)|(?:do you )?fancy\s+(?=\w+ing\b)"
OPENERS = (
    # list marks and stray punctuation
    r"[-*•>\s]+",
    r"\(?\d{1,2}[.)]\s+",
    r"[,.:;!?]+\s*",
    # words that join or soften; not where they belong to a phrase ("next to", "just left of")
    r"(?:please(?: to)?|kindly|ok|okay|so|um+|uh+|hmm+|and|then|but|also|just|finally|lastly|quickly|now|"
    r"afterwards|hey|btw|next|"
    r"again|maybe|perhaps|instead|after that)\b[\s,:.!-]+(?!(?:of|on|to|left|right|in)\b)",
    # greetings and answers, cut off by a comma or before a request
    r"(?:hi|hello|dear|good (?:morning|evening|afternoon|day)|yes|yeah|sure|great|cool|nice|perfect|awesome|"
    r"thanks|"
    r"thank you|well|right|alright|oh|wow|sorry|excuse me|pardon|by the way|actually|first(?:ly)?|"
    r"second(?:ly)?|"
    r"third(?:ly)?|(?:a )?(?:quick )?question|one more(?: thing| question)?|another (?:question|one|thing)|"
    r"no worries)"
    r"(?: of all)?(?: (?:assistant|there|friend|mate|all|again|so much|very much|bot|buddy|sir|everyone))?"
    r"(?:\s*[,:;.!]+\s*|\s+{request})",
    r"if it(?:'s| is)(?: not|n't) too much (?:trouble|bother|hassle|to ask)[\s,]+",
    r"(?:may|can|could|might) i (?:ask|trouble|bother|get|have) you to\s+",
    r"if (?:you|it|that)(?:'s| is)? ?(?:can|could|would|please|don't mind|want|possible|ok|okay|have (?:a "
    r")?(?:time|minute))"
    r"\b[\s,]+",
    # polite frames around an imperative
    r"(?:i was wondering|i wonder(?:ed)?|i'm wondering|i am wondering|i'm curious|i am curious)"
    r"(?: about| to know| (?:if|whether) you (?:can|could|would))?,?\s+",
    _MIND,
    r"(?:would it be|is it|it is|would be) possible (?:for you )?to\s+{request}",
    r"(?:any chance|is there any chance) (?:that )?(?:of )?you (?:can|could|would)\s+",
    r"(?:(?:can|could|would|will|may|might|shall) (?:you|we|someone|i)|you (?:can|could|must|should|have to|"
    r"need to)|"
    rf"are you able to)(?: {_POLITE})*,?\s+{{request}}",
    r"(?:i'd|i would|i(?: really| just| do| also)?) (?:want|need|like|love|wish|prefer|have|try)(?: for)?(?: "
    r"you)?(?: to)?"
    r"(?: please)?\s+{request}",
    r"i(?:'m| am) trying to\s+{request}",
    r"(?:help (?:me|us)|try|let's|let us|go ahead and|do me a favou?r(?: and|,)|be so kind(?: as to| and)|"
    r"feel free to|"
    r"your (?:task|job) is to)(?: to| and| please)*\s+{request}",
    # frames around an indirect question
    r"(?:i'd|i would|i(?: really| just)?) (?:want|need|like|love|wish) to (?:know|learn|understand|hear|see|"
    r"check|find out)"
    r"\s+(?:about )?{clause}",
    r"(?:to )?(?:know|understand|find out|figure out|work out|check|verify|determine|see|decide|"
    r"learn)\s+{clause}",
    r"(?:do|would) you (?:know|have any idea|happen to know)\s+(?:of )?{clause}",
    r"(?:any|no) idea\s+(?:of )?{clause}",
    r"i (?:don't know|can't (?:tell|see|figure out|make out)|am not sure|wonder)\s+{clause}",
    r"(?:tell|show|explain|give|inform|let|say|guess)(?: to)?(?: me| us)?(?: know)?(?:,? please)?(?: "
    r"exactly)?,?\s+"
    r"(?:about )?(?:just )?{clause}",
    r"(?:answer|reply)(?: to)?(?: me)?(?: this| the following| my)?(?: question)?\s*[:,]\s*",
    # "look at this picture and ..."
    r"(?:(?:can|could) you )?(?:take a (?:close |good )?look at|look(?:ing)? (?:closely |carefully )?at|"
    r"analy[sz]e|examine|"
    r"inspect|study|check(?: out)?|consider|given|based on|according to|judging from|from|in|for|on|with|"
    r"using|regarding|"
    rf"see|here(?:'s| is)|this is) (?:this|the|my|that|our|an?) (?:\w+ )?{PICTURE}(?: (?:here|below|above|"
    rf"carefully|"
    r"closely|now|please|of mine))*(?:\s*[,.:;!]\s*(?:and |then )?|\s+(?:and|then)\s+|\s+{request})",
)
CLOSERS = (
    r"please|thanks|thank you(?: (?:so|very) much)?|many thanks|thanks (?:a lot|so much|in advance)|cheers|"
    r"in advance|"
    r"for me|for us|if you can|if (?:that's )?possible|if you don't mind|(?:will|would|can|could) you|ok|"
    r"okay|mate|asap|"
    r"right now|now|"
    r"quickly|will ya|kindly|would you kindly|buddy|somehow|if you (?:could|would|please)|when you "
    r"can|"
    r"or something|i (?:can't|cannot|couldn't) (?:find|see|spot) (?:it|him|her|them)|lol|haha|xx|now please|"
    r"(?:s'il te pla[iî]t|bitte|por favor)"
)


def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    pattern = "|".join(patterns).replace("{request}", f"(?={REQUEST})").replace("{clause}", f"(?={_CLAUSE})")
    return re.compile(f"(?:{pattern})", re.IGNORECASE)


_OPENER = _compiled(OPENERS)
_CLOSER = re.compile(rf"[\s,;:.!?-]*(?<![\w'])(?:{CLOSERS})[\s.!?…]*$", re.IGNORECASE)
_STARTS_REQUEST = re.compile(REQUEST, re.IGNORECASE)
_MINDING = re.compile(_MIND, re.IGNORECASE)
_GERUND = re.compile(r"\w+ing\b")
_LONGEST_CLOSER = 60


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
