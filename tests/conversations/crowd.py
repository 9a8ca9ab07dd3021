"""One of several processes that say much at once in one conversation, each message once, whatever happens to them.

    python -m tests.conversations.crowd STORE FIRST COUNT

Each answer is what the model was shown before the message, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

from graphflow import END, START, Agent, Graph, Store, errors
from graphflow.chat import Chat
from graphflow.model.seam import Request
from graphflow.model.turns import UserTurn
from graphflow.testing import ComputedModel
from tests.journal.keeping import given_address, opened

KEY = "crowd"
LEASE_S = 1.0
graph = Graph("crowded", START >> Agent("witness") >> END)


def what_was_said(request: Request) -> str:
    """The messages before the last one."""
    *before, _ = [turn.text for turn in request.turns if isinstance(turn, UserTurn)]
    return json.dumps(before)


def chat_in(store: Store) -> Chat[object, object]:
    """The conversation."""
    return graph.chat(KEY, store=store, model=ComputedModel(what_was_said), lease_s=LEASE_S)


async def say(chat: Chat[object, object], number: int) -> None:
    """Says a message until it is there."""
    id = f"message {number}"
    while True:
        try:
            await chat.say(id, id=id)
            return
        except errors.RunOwned as owned:  # by a process that was killed
            await asyncio.sleep(owned.left_s)
        except errors.ConversationMoved:  # the others have gone on since it was killed
            id = f"{id} again"
            await say_again(chat, number, id)
            return


async def say_again(chat: Chat[object, object], number: int, id: str) -> None:
    """Says a message under another id, as the run of the first knows nothing of what was said since."""
    while True:
        try:
            await chat.say(f"message {number}", id=id)
            return
        except errors.RunOwned as owned:
            await asyncio.sleep(owned.left_s)
        except errors.ConversationMoved:
            id = f"{id} again"


async def main(address: str, first: int, count: int) -> None:
    async with opened(given_address(address)) as store:
        chat = chat_in(store)
        await asyncio.gather(*(say(chat, number) for number in range(first, first + count)))


if __name__ == "__main__":
    _, where, begin, many = sys.argv
    asyncio.run(main(where, int(begin), int(many)))
