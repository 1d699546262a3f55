"""The prompt form of the released MiniGPT-v2, in training and in the published evaluation.

Wordings and numbers are those of the reference implementation (github.com/Vision-CAIR/MiniGPT-4): of its
training datasets, the demo's buttons, and the evaluation's questions and answer lengths.
"""

from __future__ import annotations

from ..prompt_form import PromptForm
from ..tasks import CHAT, Frame, Task

SHORT_ANSWER = "Based on the image, respond to this question with a short answer: {argument}"
"""The wording of the question datasets in training and evaluation."""

_CAPTION = (
    "Briefly describe this image.",
    "Provide a concise depiction of this image.",
    "Present a short description of this image.",
    "Summarize this image in a few words.",
    "A short image caption:",
    "A short image description:",
    "A photo of ",
    "An image that shows ",
    "Write a short description for the image. ",
    "Write a description for the photo.",
    "Provide a description of what is presented in the photo.",
    "Briefly describe the content of the image.",
    "Can you briefly explain what you see in the image?",
    "Could you use a few words to describe what you perceive in the photo?",
    "Please provide a short depiction of the picture.",
    "Using language, provide a short account of the image.",
    "Use a few words to illustrate what is happening in the picture.",
)
_REFER = (
    "{argument}",
    "give me the location of {argument}",
    "where is {argument} ?",
    "from this image, tell me the location of {argument}",
    "the location of {argument} is",
    "could you tell me the location for {argument} ?",
    "where can I locate the {argument} ?",
)
_GROUNDING = (
    "please describe this image in details",
    "describe this image as detailed as possible",
    "summarize this image in details",
    "give a thorough description of what you see in this image",
)
_IDENTIFY = (
    "{argument}",
    "what object is in this location {argument}",
    "identify the object present at this location {argument}",
    "what is it in {argument}",
    "describe this object in {argument}",
    "this {argument} is",
    "the object in {argument} is",
)

RELEASED = PromptForm(
    name="minigpt_v2",
    # The prompt spells `<s>` and the tokenizer adds another; an earlier answer is tokenized together with the
    # text before it, without EOS.
    asking=Frame(begins=2, apart=False, ends=False),
    # Instructions with an image end in a space, and the template adds another.
    training=Frame(spaces=2),
    wordings={
        Task.CAPTION: _CAPTION[0],
        Task.VQA: "{argument}",
        Task.REFER: "give me the location of {argument}",
        Task.DETECTION: "{argument}",
        Task.GROUNDING: "describe this image in detail",
        Task.IDENTIFY: "what is this {argument}",
    },
    training_wordings={
        Task.CAPTION: _CAPTION,
        Task.VQA: ("{argument}", SHORT_ANSWER),
        Task.REFER: _REFER,
        Task.DETECTION: ("{argument}",),
        Task.GROUNDING: _GROUNDING,
        Task.IDENTIFY: _IDENTIFY,
    },
    max_new_tokens={
        Task.CAPTION: 500,
        Task.VQA: 20,
        Task.REFER: 20,
        Task.DETECTION: 500,
        Task.GROUNDING: 500,
        Task.IDENTIFY: 500,
        CHAT: 500,
    },
    own_words=True,
    cleans_captions=True,
    training_prompt_tokens=3800,
    training_answer_tokens=1024,
)
