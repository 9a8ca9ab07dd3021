"""Ready replies to small talk."""

from __future__ import annotations

from typing import Any

from graphflow import Node, node

from ..messages import Answer, Mail


def reply_with(name: str, reply: str) -> Node[Mail, Answer]:
    """A step that always answers the same."""

    async def body(mail: Mail) -> Answer:
        return Answer(
            number=mail.number,
            sender=mail.sender,
            message=mail.text,
            topic="chat",
            reply=reply,
            by="template",
        )

    step: Any = node(name=name, description=f"Replies: {reply}")(body)
    return step  # type: ignore[no-any-return]  # the options overload has no type for closures


say_hello = reply_with("say_hello", "Hello! What can I do for you?")
say_welcome = reply_with("say_welcome", "You are welcome!")
say_bye = reply_with("say_bye", "Goodbye, and see you soon!")
