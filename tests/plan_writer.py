"""A stand-in for the model that writes plans, for tests of all round it: a few rules for plain messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.vlm.answers import Completion, Continuation

_RULES = (
    (r"(?:where is|where's|find|locate|show me|look for) ((?:the|a|an|my|his|her)\b.+)", "locate {0}"),
    (r"(?:and|what about) (the .+)", "locate {0}"),
    (r"count (?:the )?(.+)", "answer how many {0} are there?"),
    (r"(?:find|where are|detect) (?:all |every |the )*(.+)", "detect {0}"),
    (r"describe .*detail.*|.*\bin detail\b.*", "describe"),
    (r"(?:describe|caption|what do you see).*", "caption"),
    (r"(?:hi|hello)\b.*", "chat hello"),
    (r"(?:thanks|thank you)\b.*", "chat thanks"),
    (r"(?:tell me )?((?:what|who|how|is|are|which|why|does)\b.*)", "answer {0}?"),
)
_REQUEST = r"(?=(?:find|where|what|describe|tell|count|detect)\b)"
_BORDER = re.compile(rf",? and {_REQUEST}|; |\. |, {_REQUEST}")


def plan_of(request: str, region: str = "", thing: str = "") -> str:
    """Return the plan of one request; `region` is the symbol of its box, `thing` is what "it" means."""
    if region and re.fullmatch(r"(?:what(?: is|'s) (?:this|that|it|T1|in T1))?", request, re.IGNORECASE):
        return f" identify {region}"
    request = re.sub(r"\b(?:it|he|she)\b", thing or "it", request)
    # "what colour the dog is" -> "what colour is the dog"
    request = re.sub(r"(what \w+) (the \w+) is$", r"\1 is \2", request)
    for pattern, plan in _RULES:
        if match := re.fullmatch(pattern, request, re.IGNORECASE):
            written = " " + plan.format(*(group[:1].lower() + group[1:] for group in match.groups()))
            return written.replace(" answer", f" answer {region}") if region and region != "A1" else written
    return " chat cannot"


class PlanWriter:
    """Writes plans by rules; keeps what it was given."""

    def __init__(self, probability: float = 0.99) -> None:
        self.probability = probability
        self.completions: list[Completion] = []

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        self.completions += completions
        return [self._written(completion) for completion in completions]

    def _written(self, completion: Completion) -> Continuation:
        mark, message = re.findall(r"^(R?)> (.*)$", completion.prompt, re.MULTILINE)[-1]
        found = re.findall(r"^- locate (.*?)( A1)?$", completion.prompt, re.MULTILINE)
        thing = found[-1][0] if found else ""
        region = "T1" if re.search(r"\bT1\b", message) else mark or ("A1" if found and found[-1][1] else "")
        plans: list[str] = []
        for request in _BORDER.split(message):
            plans.append(plan_of(request.strip(" ?!."), region, thing))
            thing = plans[-1].removeprefix(" locate ") if plans[-1].startswith(" locate") else thing
        text = " ;".join(plans)
        first = completion.choices("") if completion.choices else None
        if first is not None and len(first) == 1:  # a task that was chosen by hand
            text = first[0] + " " + text.split(" ", 2)[-1]
        pieces = tuple(re.findall(r" ?[^ ]+", text))
        return Continuation(text, pieces, (self.probability,) * len(pieces))


__all__ = ["PlanWriter", "plan_of"]
