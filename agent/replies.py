"""What the assistant says by itself, where there is nothing to look for in the picture."""

from __future__ import annotations

_CAN = (
    "I can describe the picture, answer questions about it, find and mark things in it, "
    "and name what is in a box that you draw"
)

# What is asked back where it is not clear what is wanted.
UNCLEAR = "unclear"
SEVERAL = "several"
CANNOT = "cannot"

REPLIES: dict[str, str] = {
    "hello": f"Hello! {_CAN}.",
    "thanks": "Glad to help. What else would you like to know about the picture?",
    "about": (
        f"I am a small assistant that looks at pictures, on your own machine. {_CAN}. "
        "I can be wrong, and I cannot check what I say against anything but the picture."
    ),
    CANNOT: f"That I cannot do: I only look at pictures. {_CAN}.",
    SEVERAL: "I look at one picture at a time: ask me about each of them by itself, and compare the answers.",
    UNCLEAR: "Shall I find something, describe the picture, or answer a question about it?",
}
"""The text of each reply that a step of a plan may have."""

__all__ = ["CANNOT", "REPLIES", "SEVERAL", "UNCLEAR"]
