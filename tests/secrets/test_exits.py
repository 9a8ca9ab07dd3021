"""What leaves the process is looked through for the secrets of runs, too, whoever writes it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from graphflow import END, START, Agent, Graph, node
from graphflow.errors import InputInvalid
from graphflow.journal import Store
from graphflow.journal.codec.secrets import hide, reveal
from graphflow.redaction import known_secrets, scrub, scrubbed
from graphflow.security import Secrets
from graphflow.testing import ScriptedModel


def test_exits_know_the_secrets_that_somebody_has_and_no_others() -> None:
    text = "the door is velvet9-swordfish, tk-abcdefgh12345678"
    given = Secrets({"door": "velvet9-swordfish"}, patterns={"token": "tk-[a-z0-9]{12,}"})
    assert scrub(text) == text
    opened = given.open()
    assert scrub(text) == "the door is [door], [token]"
    assert scrubbed({"velvet9-swordfish": [text]}) == {"[door]": ["the door is [door], [token]"]}
    assert ("door", "velvet9-swordfish") in known_secrets()
    del given, opened
    gc.collect()
    assert scrub(text) == text
    assert "door" not in dict(known_secrets())


def test_a_row_refers_to_a_secret_of_a_run_by_its_name() -> None:
    opened = Secrets({"door": "velvet9-swordfish"}).open()
    row = '{"text": "the door is velvet9-swordfish"}'
    hidden = hide(row)
    assert "swordfish" not in hidden
    assert opened.names[0] in hidden
    assert reveal(hidden) == row


def test_the_error_of_a_message_that_does_not_fit_shows_no_secret() -> None:
    @node
    def double(number: int) -> int:
        return 2 * number

    graph = Graph("doubles", START >> double >> END)
    with pytest.raises(InputInvalid) as raised:
        asyncio.run(graph.run("velvet9-swordfish", secrets=Secrets({"door": "velvet9-swordfish"})))  # type: ignore[arg-type]
    assert "swordfish" not in str(raised.value)


def test_a_run_keeps_its_secrets_known_as_long_as_somebody_has_it() -> None:
    @node
    def echo(text: str) -> str:
        return text

    graph = Graph("echoes", START >> echo >> END)
    run = graph.run_sync("x", secrets=Secrets({"door": "velvet9-swordfish"}))
    gc.collect()
    assert scrub("velvet9-swordfish") == "[door]"
    del run
    gc.collect()
    assert scrub("velvet9-swordfish") == "velvet9-swordfish"


def test_a_conversation_keeps_and_shows_marks(tmp_path: Path) -> None:
    value = "velvet9-swordfish"
    model = ScriptedModel(f"one {value}", "two")
    agent = Agent("talker", input=str, model=model)
    graph = Graph("talk", START >> agent >> END, secrets=Secrets({"door": value}))

    async def talk() -> str:
        async with Store.open(f"sqlite:{tmp_path / 'runs.db'}") as store:
            await graph.run(f"hi {value}", conversation="user:1", store=store)
            await graph.run("again", conversation="user:1", store=store)
            return repr(await graph.chat("user:1", store=store).history())

    kept = asyncio.run(talk())
    assert "hi [door]" in kept
    assert "one [door]" in kept
    shown = kept + repr(model.requests)
    for path in tmp_path.iterdir():
        shown += path.read_bytes().decode(errors="replace")
    assert "swordfish" not in shown
