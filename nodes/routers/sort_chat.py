"""Tells greetings, thanks and goodbyes apart."""

from __future__ import annotations

from graphflow import Router

from ..messages import Mail

sort_chat: Router[Mail, Mail] = Router(
    "sort_chat",
    input=Mail,
    prompt="{{ text }}",
    examples={
        "hello": ["Hello!", "Good morning", "Hi there, how are you?"],
        "thanks": ["Thank you very much!", "Thanks for your help", "That was kind, great service"],
        "bye": ["Goodbye", "Bye, see you soon", "Have a nice weekend"],
    },
)
