"""The specialist for greetings, thanks and goodbyes."""

from __future__ import annotations

from graphflow import END, START, Graph

from ..routers.sort_chat import sort_chat
from ..steps.greet import say_bye, say_hello, say_welcome

small_talk = Graph(
    "small_talk",
    START >> sort_chat,
    sort_chat["hello"] >> say_hello >> END,
    sort_chat["thanks"] >> say_welcome >> END,
    sort_chat["bye"] >> say_bye >> END,
    description="Answers small talk with ready replies.",
)
