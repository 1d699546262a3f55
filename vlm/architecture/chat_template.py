"""Convert prompts to and from text, for software that uses transformers' chat templates.

`<ImageHere>` stands for the image, `<s>` and `</s>` for BOS and EOS, as the reference spells them. A person's
text cannot spell them: the template writes round brackets there, as `tasks.escape_markers` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..tasks import Frame, Segment, SegmentKind, escape_markers

IMAGE = "<ImageHere>"
_BEGIN, _END, _CLOSING = "<s>", "</s>", "[/INST]"
_SPELLED = {SegmentKind.BEGIN: _BEGIN, SegmentKind.IMAGE: IMAGE, SegmentKind.END: _END}
_MARKER = re.compile(f"({'|'.join(map(re.escape, _SPELLED.values()))})")
_MARKERS = ("[INST]", _CLOSING, "<Img>", "</Img>", IMAGE, _BEGIN, _END)


def prompt_text(segments: Sequence[Segment]) -> str:
    """Return a prompt as text."""
    return "".join(_SPELLED.get(segment.kind, segment.text) for segment in segments)


def read_prompt(text: str, frame: Frame) -> list[Segment]:
    """Return the segments of a prompt of `prompt_text` or the chat template."""
    return list(_segments(text, frame))


def _segments(text: str, frame: Frame) -> Iterator[Segment]:
    kinds = {spelled: kind for kind, spelled in _SPELLED.items()}
    for part in filter(None, _MARKER.split(text)):
        if part in kinds:
            yield Segment(kinds[part])
            continue
        question, closing, answer = part.partition(_CLOSING)
        if not frame.apart or not closing:
            yield Segment(SegmentKind.TEXT, part)
            continue
        yield Segment(SegmentKind.TEXT, question + closing)
        if answer:
            yield Segment(SegmentKind.ANSWER, answer)


def chat_template(frame: Frame) -> str:
    """Return the Jinja template of a frame, for one image, in the first message, and users' text."""
    marks = "".join(f" | replace({marker!r}, {escape_markers(marker)!r})" for marker in _MARKERS)
    return _TEMPLATE % {
        "marks": marks,
        "begins": repr(_BEGIN * frame.begins),
        "begin": repr(_BEGIN),
        "spaces": repr(" " * frame.spaces),
        "alone": repr(" " * frame.spaces_alone),
        "end": repr(_END if frame.ends else ""),
        "image": repr(f"<Img>{IMAGE}</Img> "),
        "closing": repr(_CLOSING),
    }


_TEMPLATE = """\
{%%- set state = namespace(shown=false, text='') -%%}
{%%- for message in messages -%%}
{%%- set first = loop.first -%%}
{%%- if message['role'] != ('user' if loop.index0 %% 2 == 0 else 'assistant') -%%}
{{- raise_exception('messages of user and assistant must take turns, the user first') -}}
{%%- endif -%%}
{%%- set state.text = '' -%%}
{%%- if message['content'] is string -%%}
{%%- set state.text = message['content'] -%%}
{%%- else -%%}
{%%- for item in message['content'] -%%}
{%%- if item['type'] == 'text' -%%}
{%%- set state.text = state.text ~ item['text'] -%%}
{%%- elif item['type'] == 'image' and first and not state.shown -%%}
{%%- set state.shown = true -%%}
{%%- else -%%}
{{- raise_exception('the model takes text and one image, in the first message') -}}
{%%- endif -%%}
{%%- endfor -%%}
{%%- endif -%%}
{%%- if message['role'] == 'user' -%%}
{{- (%(begins)s if first else %(begin)s) ~ '[INST] ' ~ (%(image)s if first and state.shown else '') -}}
{{- (state.text%(marks)s) ~ (%(spaces)s if state.shown else %(alone)s) ~ %(closing)s -}}
{%%- else -%%}
{{- (state.text%(marks)s) ~ %(end)s -}}
{%%- endif -%%}
{%%- endfor -%%}
"""
