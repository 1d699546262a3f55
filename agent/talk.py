"""Talk that needs no picture: small talk, questions about the assistant, writing, general knowledge."""

from __future__ import annotations

import re

from . import words
from .carriers import PICTURE

_SMALL_TALK = re.compile(
    r"(?:(?:thanks?|thank you|thankyou|cheers|ta|much appreciated|appreciated?|i appreciate|hi|hello|hey|"
    r"hiya|howdy|yo|greetings|"
    r"good (?:morning|evening|afternoon|night|day|job|work|one|bye|answer|to know)|bye|goodbye|see you|see "
    r"ya|farewell|"
    r"nice(?: one| work| job| to meet| answer| shot)?|great(?: job| work| answer| stuff)?|awesome|cool|"
    r"perfect|excellent|"
    r"wonderful|amazing|brilliant|lovely|fantastic|superb|well done|wow|ok(?:ay)?|alright|all right|sure|yes|"
    r"yeah|yep|yup|"
    r"no|nope|nah|lol|ha(?:ha)+|hehe|sorry|my bad|never ?mind|forget it|got it|understood|i see|i understand|"
    r"makes sense|"
    r"that's (?:all|it|great|right|correct|perfect|good|nice|cool|helpful|funny|amazing|very kind|exactly|"
    r"what i|so|really|"
    r"very|wonderful|not bad)|that (?:was|is|helps?|helped|works|worked)|you(?:'re| are| were) (?:the best|"
    r"great|right|welcome|"
    r"so|very|really|amazing|awesome|a star|wrong|funny|smart)|how are you|how's it going|how do you do|"
    r"what's up|"
    r"nice to meet|love it|i love (?:it|this|you)|impressive|indeed|congrat\w+|welcome|happy \w+|have a "
    r"(?:nice|good|great)|"
    r"no worries|no problem|of course|exactly|correct|right|interesting|hm+|oh|ah|please|stop|wait|test|"
    r"testing|"
    r"good|fine|bravo|gotcha|ttyl|brb|ok then|you rock|not bad|i'm (?:back|done|bored|tired|happy|sad|fine|"
    r"good|sorry))"
    r"\b[\s,.!?;:)(-]*)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_MAKE = words.one_of(words.MAKING)
_CREATION = words.one_of(words.CREATIONS)
_CREATIVE = re.compile(
    rf"(?:(?:{_MAKE}|pretend|roleplay|role-play|act as|play|tell|give|make|create|generate|come up with|"
    rf"craft|think of|turn|need|"
    r"want|show|do|let's|help me|say)\b.{0,60}?\b"
    rf"{_CREATION}\b|(?:a |an |another |short |funny )*{_CREATION} (?:about|on|for|inspired|based)\b|"
    rf"{_MAKE}\b(?!.{{0,30}}\b(?:caption|description|alt text|alt-text|summary|title|what you see)\b)|make "
    rf"up\b|come up with\b|"
    r"think of\b|role-?play\b|act as\b|pretend\b|what if\b|if i were\b|suppose\b|once upon\b|finish (?:this|"
    r"the) (?:story|sentence)|"
    r"(?:give|suggest|recommend|propose)\b.{0,20}\b(?:names?|ideas?|tips|advice|hashtags?|hints?|"
    r"recommendations?)\b)",
    re.IGNORECASE,
)
# Reading what stands in the picture, even to translate it, is a question about the picture.
_READ_IN_PICTURE = re.compile(
    rf"(?:translate|calculate|compute|solve|convert|spell|define|quote)\b.*\b(?:the (?:text|words?|sign|"
    rf"label|menu|writing|letters|receipt|"
    rf"bill|banner|total|equation|poster|board|note|headline)s?(?: \w+)? (?:on|in|from|at|of) |(?:this|the) "
    rf"(?:{PICTURE}|sign|label|menu|poster|banner))",
    re.IGNORECASE,
)
_ASSISTANT = re.compile(
    r"(?:who|what|how|why|when|where|which \w+|how \w+) (?:are|were|was|do|did|can|could|would|will|made|"
    r"built|created|trained|"
    r"developed|programmed|designed|is|'s|about|tasks|languages|commands|kind of \w+|things|else) ?"
    r"(?:can |do |are |could )?(?:you|your|yourself|u)\b(?! (?:see|notice|spot|observe|think|say|call|"
    r"describe|find|tell me|guess|make out|read))|"
    r"(?:who|what|how)(?:'s| is) your\b|are you\b(?! able)|(?:do|did|would|will|have|could|can) you "
    r"(?!(?:see|think|spot|notice|find|recogni[sz]e|tell|say|guess|know (?:what|who|where|if)|read|count|"
    r"make out|identify|"
    r"describe|show|seen|please|locate|detect|mark|list)\b)\w+|"
    r"(?:can|do) you (?:see|read|process|view|tell jokes)(?: me| images?| pictures?| videos?| photos?| in "
    r"the dark| files?| text| handwriting)?$|"
    r"(?:tell me|talk)(?: something| more)? about (?:you\b|yourself)|introduce yourself|help$|your \w+|"
    r"(?:how|what) (?:does|do|can) (?:this|it|the|i) (?:tool|app|program|assistant|bot|model|system|use|"
    r"ask)(?: \w+)*|"
    r"how does (?:this|it|that|everything) work|what did (?:i|you) (?:just )?(?:say|ask|mean|tell)|what is "
    r"(?:this|the) (?:tool|app|assistant|bot|chatbot)|"
    r"(?:which|what) (?:model|version|ai|llm|language model) (?:is|are|am) (?:this|you|i)|"
    r"why did you\b|repeat that|say that again|what (?:do|did) you mean|let's (?:talk|chat|play)\b|i (?:love|"
    r"like|hate|feel|think|am|was|have|will|went)\b",
    re.IGNORECASE,
)


def is_small_talk(text: str) -> bool:
    """Return whether a text is nothing but greeting, thanks or comment."""
    match = _SMALL_TALK.match(text)
    if not match:
        return False
    rest = match["rest"]
    return (len(rest.split()) <= 8 and not rest.endswith("?")) or is_small_talk(rest)


def asks_to_make(text: str) -> bool:
    """Return whether a text asks for something to be written or worked out, rather than seen."""
    return bool(_CREATIVE.match(text)) and not _READ_IN_PICTURE.match(text)


def speaks_of_assistant(text: str) -> bool:
    """Return whether a text is about the assistant or the talk itself."""
    return bool(_ASSISTANT.match(text))


# --- the picture, or the world at large -------------------------------------------------------------------

_TIME = (
    "year|week|month|morning|evening|afternoon|century|season|summer|winter|weekend|time|way|sentence|"
    "question|word"
)
_DEICTIC = re.compile(
    rf"\b(?:(?:this|these|that|those)(?! (?:{_TIME})\b)|here|{PICTURE}|shown|visible|background|foreground|"
    r"(?:do|can|could) you (?:see|spot|notice|read|make out)|you (?:can )?see|in view|on display|pictured|"
    r"depicted)\b",
    re.IGNORECASE,
)
_RELATIVE_THAT = re.compile(
    r"\b\w+ that (?:is|are|was|were|can|has|have|do|does|you|i|we|"
    r"\w+s)\b",
    re.IGNORECASE,
)
_WORLD = re.compile(
    rf"(?<!\w)(?:{words.one_of(words.WORLD)}|"
    rf"{words.one_of(words.PLACES)})(?!\w)",
    re.IGNORECASE,
)
_NATURE = re.compile(
    r"\b(?:why|how (?:far|old|big|hot|deep|long|many|fast|is|are|does|do|did)|when|what causes|what "
    r"makes)\b.*"
    r"\b(?:sky|sun|moon|ocean|oceans|sea|earth|stars|rainbows?|clouds form|tides|brain|heart|human body)\b",
    re.IGNORECASE,
)
_SUM = re.compile(
    r"\b\d+\s*(?:[-+*/x\u00d7÷^]|plus|minus|times|divided by|multiplied by)\s*\d+", re.IGNORECASE
)
_HISTORY = re.compile(
    r"\bwho (?:is|was|are|were) (?:the )?(?:inventor|author|founder|king|queen|president|first|ceo|current|"
    r"leader|pope)\b|"
    r"\bwho (?:invented|discovered|painted|wrote|built|founded|won|created|composed|directed|sang|"
    r"designed)\b|"
    r"\b(?:when|what year) (?:did|was|were|is)\b|\bhow (?:do|can|could|would) (?:i|you|we|one|people)\b|"
    r"\bwhat (?:does|do) \S+ mean$|"
    r"\bwhat(?:'s| is) (?:the )?(?:best|meaning|point|purpose of|difference|weather (?:like )?in|time in|"
    r"tallest|largest|biggest|longest|"
    r"smallest|deepest|highest|fastest|oldest) (?:\w+ )?(?:\w+ )?(?:way|of life|in|between|on|to|planet|"
    r"ocean|animal|mountain|river|country|city|number)\b|"
    r"\b(?:do|can|would|could|should) you (?:get|need|make|mix|use|write|spell|cook|become)\b|"
    r"\b(?:book|article|movie|film|video|website|information|info|tutorial)s? (?:about|on how|for)\b|"
    r"\b(?:nearest|closest|good|best|cheap) (?:pharmacy|hospital|hotel|restaurant|bank|station|supermarket|"
    r"cinema)\b|"
    r"\bis it (?:healthy|legal|illegal|ok|okay|safe|bad|good|normal|rude|worth) (?:to|for) \w+ (?!it\b|"
    r"this\b|that\b)\w|"
    r"\bhow many [\w-]+ (?:are |is )?(?:there )?(?:in|on) an? \w|"
    r"\b(?:this|the following) (?:sentence|paragraph|essay|argument|statement)\b|^count (?:from|up|down|to|"
    r"backwards)\b|"
    r"\b(?:should|can|could|may|must|do|did|am) i\b|\bmy (?!dog|cat|photo)\w+\b.*\bshould\b|\b(?:today|"
    r"tonight)\b",
    re.IGNORECASE,
)
_GENERIC_SUBJECT = re.compile(
    r"(?:.*\b)?(?:do|does|did|can|could|should|why are|why is|what is|what's|what are|who is|who was|who "
    r"are) "
    r"(?!the\b|this\b|that\b|these\b|those\b|they\b|he\b|she\b|it\b|any\w*\b|all\b|his\b|her\b|their\b|its\b|"
    r"you\b|we\b|both\b|some\w*\b|"
    r"every\w*\b|people\b|one of\b|each\b|there\b|my\b|our\b|your\b|either\b|\w+ing\b|in\b|on\b|under\b|"
    r"behind\b|next\b|left\b|"
    r"at\b|near\b|above\b|between\b|inside\b|most of\b|written\b|wrong\b|unusual\b|left\b|standing\b|being\b|"
    r"beside\b|below\b|closest\b)",
    re.IGNORECASE,
)
_ANCHOR = re.compile(
    r"\b(?:the|his|her|hers|their|theirs|its|he|she|they|it|him|them|there(?:'s)?|anyone|anybody|someone|"
    r"somebody|everyone|everybody|"
    r"anything|something|everything|nobody|nothing|any|both|how many (?:people|persons|men|women|children|"
    r"kids|animals|objects|things)|"
    r"(?:is|are|was|were|am|being|be|person|man|woman|people|who|who's|what's) (?:\w+ )?(?!thing\b|"
    r"king\b)\w{2,}ing|parked|standing|located|holding|wearing|"
    r"in front of|next to|behind|on (?:left|right|top)|whose|which (?:one|side|of)|"
    r"what (?:colou?r|breed|brand|kind|type|sport|animal|number|time|season|shape|pattern|material|room|"
    r"animals|letters?|"
    r"fruit|objects?|vehicle|food)|how many|which \w+ (?:is|are|has)|day or night|indoors?|outdoors?|inside "
    r"or outside)\b",
    re.IGNORECASE,
)
_OF_A_KIND = re.compile(
    r"\b(?:what colou?r|how many|what (?:kind|type|breed|number|shape|food|animal|sport|material)s?|how|"
    r"which|when|why|where)\b.{0,80}"
    r"\b(?:do|does|did|can|has|have|are|is) (?:a |an |most |all )?(?:(?!(?:the|this|that|his|her|their|its|"
    r"any|all|on|in|at)\b)\w+ )?(?:(?!(?:there|people|visible|"
    r"they|these|those|you)\b)\w+s|an? \w+|adult \w+)\b"
    r"(?! (?:\w+ing|on|in|at|behind|near|next|visible|present|parked|shown|here)\b)",
    re.IGNORECASE,
)


def _points(text: str) -> bool:
    """Return whether a text points at the picture; "that" in "a word that rhymes" does not."""
    return bool(_DEICTIC.search(_RELATIVE_THAT.sub(" ", text)))


def speaks_of_picture(text: str) -> bool:
    """Return whether a question is about this picture, rather than about the world at large."""
    if _points(text):
        return True
    if any(pattern.search(text) for pattern in (_WORLD, _NATURE, _SUM, _HISTORY)) or _names_somebody(text):
        return False
    if _GENERIC_SUBJECT.match(text) or _OF_A_KIND.search(text):
        return False
    return bool(_ANCHOR.search(text))


_NAMES = re.compile(
    r"(?<=[a-z] )(?!I\b|I'|TV\b|OK\b)(?:of|in|from|is|was|does|did|to|about|at|for|by|do|are|between) (?:the "
    r")?(?:[A-Z][a-z]{2,})(?: [A-Z][a-z]+)*\W*$"
)


# A full name that is all a request is about: "Mount Fuji", "describe the French Revolution".
_FULL_NAME = re.compile(
    r"^(?:[a-z]+ the )?(?:[A-Z][a-z]+ )+[A-Z][a-z]+$|^[A-Z][a-z]+ the [A-Z][a-z]+ "
    r"[A-Z][a-z]+$"
)


def _names_somebody(text: str) -> bool:
    """Return whether the question ends in a proper name: `the capital of France`, `when was Mozart`."""
    return bool(_NAMES.search(text))


def is_worldly(text: str) -> bool:
    """Return whether a text speaks of the world at large, or of something that no picture shows."""
    if _points(text):
        return False
    return any(pattern.search(text) for pattern in (_WORLD, _SUM, _HISTORY, _FULL_NAME))
