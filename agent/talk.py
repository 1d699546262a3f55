"""Talk that needs no picture: small talk, questions about the assistant, writing, general knowledge."""

from __future__ import annotations

import re

from . import words
from .carriers import PICTURE
from .words import any_of, compiled, one_of, phrases

# --- small talk -------------------------------------------------------------------------------------------

_GREETINGS = phrases(
    "hi, hello, hey, hiya, howdy, yo, greetings, welcome, how are you, how do you do, how's it going, "
    "what's up, nice to meet, good (?:morning|afternoon|evening|night|day|bye), "
    r"have a (?:good|great|nice), happy \w+"
)
_FAREWELLS = phrases(
    "bye, goodbye, farewell, (?:see|catch) (?:you|ya), talk (?:to you )?(?:later|soon|tomorrow), take care, "
    "so long, brb, ttyl"
)
_THANKS = phrases("thanks?, thank ?you, cheers, ta, (?:much )?appreciated?, i appreciate")
_PRAISE = phrases(
    "amazing, awesome, bravo, brilliant, cool, excellent, fantastic, fine, good, great, impressive, "
    "interesting, lovely, nice, not bad, perfect, superb, well done, wonderful, wow, you rock, "
    r"congrat\w+, love it, i love (?:it|this|you)"
)
_REPLIES = phrases(
    "yes, yeah, yep, yup, no, nope, nah, ok(?:ay)?, al(?:l )?right, sure, right, correct, exactly, indeed, "
    "of course, got it, gotcha, i see, i understand, understood, makes sense, hm+, oh, ah, lol, ha(?:ha)+, "
    "hehe"
)
_REGRETS = phrases(
    "sorry, my bad, never ?mind, forget it, no worries, no problem, please, stop, wait, test(?:ing)?"
)
# Verdicts on an answer and on the assistant; "that's the dog" is none.
_VERDICTS = (
    r"that's (?:all|it|great|right|correct|perfect|good|nice|cool|helpful|funny|amazing|wonderful|exactly|so|"
    r"very|really|not bad|what i)",
    r"that (?:was|is|helps?|helped|works|worked)",
    r"you(?:'re| are| were) (?:the best|a star|right|wrong|welcome|amazing|awesome|funny|great|smart|so|very|"
    r"really)",
    r"i'm (?:back|bored|done|fine|good|happy|sad|sorry|tired)",
)
_SMALL_TALK = re.compile(
    any_of(_GREETINGS, _FAREWELLS, _THANKS, _VERDICTS, _PRAISE, _REPLIES, _REGRETS)
    + r"\b[\s,.!?;:)(-]*(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_COMMENT = 8


def is_small_talk(text: str) -> bool:
    """Return whether a text is nothing but greeting, thanks or comment."""
    match = _SMALL_TALK.match(text)
    if not match:
        return False
    rest = match["rest"]
    return (len(rest.split()) <= _LONGEST_COMMENT and not rest.endswith("?")) or is_small_talk(rest)


# --- writing and working out ------------------------------------------------------------------------------

_MAKE = one_of(words.MAKING)
_CREATION = one_of(words.CREATIONS)
# Verbs that ask for something made up only where what is made is named: "tell me a joke".
_MAKE_OF = any_of(
    words.MAKING,
    phrases(
        "act as, come up with, craft, create, do, generate, give, help me, let's, make, need, play, "
        "pretend, roleplay, role-play, say, show, tell, think of, turn, want"
    ),
)
_CREATIVE = compiled(
    any_of(
        (
            rf"{_MAKE_OF}\b.{{0,60}}?\b{_CREATION}\b",
            rf"(?:(?:a|an|another|short|funny) )*{_CREATION} (?:about|on|for|inspired|based)\b",
            # To write a caption is to describe.
            rf"{_MAKE}\b(?!.{{0,30}}\b(?:caption|description|alt[ -]text|summary|title|what you see)\b)",
            r"(?:make up|come up with|think of|role-?play|act as|pretend)\b",
            r"(?:what if|if i were|suppose|once upon|finish (?:this|the) (?:story|sentence))\b",
            r"(?:give|suggest|recommend|propose)\b.{0,20}\b(?:names?|ideas?|tips|advice|hashtags?|hints?|"
            r"recommendations?)\b",
        )
    )
)
_WRITTEN = phrases(
    "text, words?, sign, label, menu, writing, letters, receipt, bill, banner, total, equation, poster, "
    "board, note, headline"
)
# Reading what stands in the picture, even to translate it, is a question about the picture.
_READ_IN_PICTURE = compiled(
    r"(?:translate|calculate|compute|solve|convert|spell|define|quote)\b.*\b"
    rf"(?:the {any_of(_WRITTEN)}s?(?: \w+)? (?:on|in|from|at|of) |"
    rf"(?:this|the) (?:{PICTURE}|sign|label|menu|poster|banner))"
)


def asks_to_make(text: str) -> bool:
    """Return whether a text asks for something to be written or worked out, rather than seen."""
    return bool(_CREATIVE.match(text)) and not _READ_IN_PICTURE.match(text)


# --- the assistant and the talk itself --------------------------------------------------------------------

# What the assistant does with a picture: "can you see a dog?" is not about the assistant.
_SEES = phrases(
    "see, notice, spot, think, say, describe, find, tell, guess, make out, read, identify, locate"
)
_ASKS = r"(?:who|what|how|why|when|where|which \w+|how \w+)"
_ABOUT_YOU = phrases(
    "are, were, was, do, did, can, could, would, will, made, built, created, trained, developed, "
    r"programmed, designed, is, 's, about, tasks, languages, commands, kind of \w+, things, else"
)
_PROGRAM = "(?:tool|app|program|assistant|bot|chatbot|model|system)"
_ASSISTANT = compiled(
    any_of(
        (
            rf"{_ASKS} {any_of(_ABOUT_YOU)} ?(?:can |do |are |could )?(?:you|your|yourself|u)\b"
            rf"(?! (?:{any_of(_SEES)}|observe|call)\b)",
            r"(?:who|what|how)(?:'s| is) your\b",
            r"are you\b(?! able)",
            rf"(?:do|did|would|will|have|could|can) you (?!(?:{any_of(_SEES)}|recogni[sz]e|count|show|seen|"
            r"please|detect|mark|list|know (?:what|who|where|if))\b)\w+",
            # Whether it can at all, without naming what.
            r"(?:can|do) you (?:see|read|process|view|tell jokes)"
            r"(?: (?:me|images?|pictures?|videos?|photos?|in the dark|files?|text|handwriting))?$",
            r"(?:tell me|talk)(?: something| more)? about (?:you\b|yourself)",
            r"introduce yourself|help$|your \w+",
        ),
        (
            # the program that is spoken to
            rf"(?:how|what) (?:does|do|can) (?:this|it|the|i) (?:{_PROGRAM}|use|ask)",
            r"how does (?:this|it|that|everything) work",
            rf"what is (?:this|the) {_PROGRAM}",
            r"(?:which|what) (?:model|version|ai|llm|language model) (?:is|are|am) (?:this|you|i)",
        ),
        (
            # what was said
            r"what did (?:i|you) (?:just )?(?:say|ask|mean|tell)|what (?:do|did) you mean|why did you\b",
            r"repeat that|say that again|let's (?:talk|chat|play)\b",
            r"i (?:love|like|hate|feel|think|am|was|have|will|went)\b",
        ),
    )
)


def speaks_of_assistant(text: str) -> bool:
    """Return whether a text is about the assistant or the talk itself."""
    return bool(_ASSISTANT.match(text))


# --- the picture, or the world at large -------------------------------------------------------------------

_TIMES = phrases(
    "year, week, month, morning, evening, afternoon, century, season, summer, winter, weekend, time, way, "
    "sentence, question, word"
)
_DEICTIC = compiled(
    rf"\b(?:(?:this|these|that|those)(?! {any_of(_TIMES)}\b)|here|{PICTURE}|"
    r"shown|visible|pictured|depicted|background|foreground|in view|on display|"
    r"(?:do|can|could) you (?:see|spot|notice|read|make out)|you (?:can )?see)\b"
)
# "<Img>" is spoken of, and no picture.
_MARKUP = re.compile(r"</?\w{1,20}>")
# "that" in "a word that rhymes" points at nothing.
_RELATIVE_THAT = compiled(r"\b\w+ that (?:is|are|was|were|can|has|have|do|does|you|i|we|\w+s)\b")
_WORLD_WORDS = compiled(rf"(?<!\w){one_of((*words.WORLD, *words.PLACES))}(?!\w)")
_SUM = compiled(r"\b\d+\s*(?:[-+*/x\u00d7÷^]|plus|minus|times|divided by|multiplied by)\s*\d+")
# A full name that is all a request is about: "Mount Fuji", "describe the French Revolution".
_FULL_NAME = re.compile(
    r"^(?:[a-z]+ the )?(?:[A-Z][a-z]+ )+[A-Z][a-z]+$|^[A-Z][a-z]+ the [A-Z][a-z]+ [A-Z][a-z]+$"
)
_LEADERS = phrases("inventor, author, founder, king, queen, president, first, ceo, current, leader, pope")
_FEATS = phrases(
    "invented, discovered, painted, wrote, built, founded, won, created, composed, directed, sang, designed"
)
_RECORDS = phrases("tallest, largest, biggest, longest, smallest, deepest, highest, fastest, oldest")
_RECORD_HOLDERS = phrases("planet, ocean, animal, mountain, river, country, city, number")
_SERVICES = phrases("pharmacy, hospital, hotel, restaurant, bank, station, supermarket, cinema")
# Questions that are about the world unless they point at the picture.
_WORLD_QUESTIONS = compiled(
    any_of(
        (
            rf"\bwho (?:is|was|are|were) (?:the )?{any_of(_LEADERS)}\b",
            rf"\bwho {any_of(_FEATS)}\b",
            r"\b(?:when|what year) (?:did|was|were|is)\b",
            r"\bwhat (?:does|do) \S+ mean$",
            r"\bwhat(?:'s| is) (?:the )?"
            rf"(?:best|meaning|point|purpose of|difference|weather (?:like )?in|time in|{any_of(_RECORDS)}) "
            rf"(?:\w+ )?(?:\w+ )?(?:way|of life|in|between|on|to|{any_of(_RECORD_HOLDERS)})\b",
            r"\bhow many [\w-]+ (?:are |is )?(?:there )?(?:in|on) an? \w",
        ),
        (
            # advice, how something is done, what the person should do
            r"\bhow (?:do|can|could|would) (?:i|you|we|one|people)\b",
            r"\b(?:do|can|would|could|should) you (?:get|need|make|mix|use|write|spell|cook|become)\b",
            r"\b(?:should|may|must|do|did|am) i\b|\b(?:can|could) i\b(?! (?:see|find|spot|locate)\b)",
            r"\bmy (?!dog|cat|photo)\w+\b.*\bshould\b",
            r"\bis it (?:healthy|legal|illegal|ok|okay|safe|bad|good|normal|rude|worth) (?:to|for) \w+ "
            r"(?!(?:it|this|that)\b)\w",
        ),
        (
            # other sources, other texts, other days
            r"\b(?:book|article|movie|film|video|website|information|info|tutorial)s? (?:about|on how|for)\b",
            rf"\b(?:nearest|closest|good|best|cheap) {any_of(_SERVICES)}\b",
            r"\b(?:this|the following) (?:sentence|paragraph|essay|argument|statement)\b",
            r"^count (?:from|up|down|to|backwards)\b",
            r"\b(?:today|tonight)\b",
        ),
    )
)
# Sky and body are in many pictures, but what they do in general is not.
_NATURE = compiled(
    r"\b(?:why|how (?:far|old|big|hot|deep|long|many|fast|is|are|does|do|did)|when|what (?:causes|makes))\b.*"
    r"\b(?:sky|sun|moon|oceans?|sea|earth|stars|rainbows?|clouds form|tides|brain|heart|human body)\b"
)
# A question that ends in a proper name: "the capital of France", "when was Mozart".
_ABOUT_A_NAME = re.compile(
    r"(?<=[a-z] )(?:of|in|from|is|was|does|did|to|about|at|for|by|do|are|between) (?:the )?"
    r"(?:[A-Z][a-z]{2,})(?: [A-Z][a-z]+)*\W*$"
)
# Subjects that stand in the picture; behind a verb anything else is a kind of thing: "do cats purr".
_SPECIFIC = phrases(
    "the, this, that, these, those, they, he, she, it, his, her, their, its, my, our, your, you, we, "
    r"there, any\w*, some\w*, every\w*, all, both, each, either, one of, most of, people, \w+ing, written, "
    "wrong, unusual, at, above, behind, below, beside, between, closest, in, inside, left, near, next, "
    "on, under"
)
_GENERIC_SUBJECT = compiled(
    r"(?:.*\b)?(?:do|does|did|can|could|should|why (?:are|is)|what(?: is|'s| are)|who (?:is|was|are)) "
    rf"(?!{any_of(_SPECIFIC)}\b)"
)
# Words that tie a question to this picture.
_ANCHORS = phrases(
    "the, his, hers?, theirs?, its, he, she, they, it, him, them, there(?:'s)?, "
    "(?:any|every|some)(?:one|body), (?:any|every|some|no)thing, nobody, any, both, whose, how many, "
    r"which \w+ (?:is|are|has), which (?:one|side|of), parked, standing, located, holding, wearing, "
    "in front of, next to, behind, on (?:left|right|top), day or night, indoors?, outdoors?, "
    "inside or outside"
)
_ASKED_OF_A_PICTURE = phrases(
    "colou?r, breed, brand, kind, type, sport, animals?, number, time, season, shape, pattern, material, "
    "room, letters?, fruit, objects?, vehicle, food"
)
_DOING = (
    r"(?:is|are|was|were|am|being|be|person|man|woman|people|who|who's|what's) (?:\w+ )?(?!thing\b|king\b)"
    r"\w{2,}ing"
)
_ANCHOR = compiled(rf"\b(?:{any_of(_ANCHORS)}|{_DOING}|what {any_of(_ASKED_OF_A_PICTURE)})\b")
# "How many legs do spiders have", "what colour is a ruby": asked of every one of its kind.
_OF_A_KIND = compiled(
    r"\b(?:what (?:colou?r|(?:kind|type|breed|number|shape|food|animal|sport|material)s?)|how|"
    r"which(?! of (?:the|these|those|them)\b)|when|why|"
    r"where)\b.{0,80}\b(?:do|does|did|can|has|have|are|is) (?:(?:a|an|most|all) )?"
    r"(?:(?!(?:the|this|that|his|her|their|its|any|all|on|in|at)\b)\w+ )?"
    r"(?:(?!(?:there|people|visible|they|these|those|you)\b)\w+s|an? \w+|adult \w+)\b"
    r"(?! (?:\w+ing|on|in|at|behind|near|next|visible|present|parked|shown|here)\b)"
)


def speaks_of_picture(text: str) -> bool:
    """Return whether a question is about this picture, rather than about the world at large."""
    if _points(text):
        return True
    of_the_world = (_WORLD_WORDS, _NATURE, _SUM, _WORLD_QUESTIONS, _ABOUT_A_NAME, _OF_A_KIND)
    if any(pattern.search(text) for pattern in of_the_world) or _GENERIC_SUBJECT.match(text):
        return False
    return bool(_ANCHOR.search(text))


def is_worldly(text: str) -> bool:
    """Return whether a text speaks of the world at large, or of something that no picture shows."""
    if _points(text):
        return False
    return any(pattern.search(text) for pattern in (_WORLD_WORDS, _SUM, _WORLD_QUESTIONS, _FULL_NAME))


def _points(text: str) -> bool:
    return bool(_DEICTIC.search(_RELATIVE_THAT.sub(" ", _MARKUP.sub(" ", text))))
