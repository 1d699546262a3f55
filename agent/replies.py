"""Fixed replies to messages that need no look at the image."""

from __future__ import annotations

_CAN = (
    "I can describe the image, answer questions about it, find and mark things in it, "
    "and name what is in a box that you draw"
)

# The reply that asks the person to clarify.
UNCLEAR = "unclear"
SEVERAL = "several"
CANNOT = "cannot"

REPLIES: dict[str, str] = {
    "hello": f"Hello! {_CAN}.",
    "thanks": "Glad to help. What else would you like to know about the image?",
    "about": (
        f"I am a small assistant that looks at images, on your own machine. {_CAN}. "
        "I can be wrong, and I cannot check what I say against anything but the image."
    ),
    CANNOT: f"I cannot do that: I only look at images. {_CAN}.",
    SEVERAL: "I look at one image at a time: ask me about each one separately, then compare the answers.",
    UNCLEAR: "Should I find something, describe the image, or answer a question about it?",
}
"""The text of each fixed reply, by `Step.reply`."""
