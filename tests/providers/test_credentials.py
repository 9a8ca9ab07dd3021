"""Keys that code of the user's gives, when they are wanted, and anew when they were refused."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, connect, errors
from graphflow.events import ModelRetried, to_record
from graphflow.providers import Credential, KeyWanted
from graphflow.providers.credentials import GivenKeys
from tests.conftest import walk
from tests.providers.raw_server import RawServer, head, reply
from tests.providers.test_faults import CHAT, FAST

REFUSED = reply(b'{"error": {"message": "expired", "code": "invalid_api_key"}}', 401)
FORBIDDEN = reply(b'{"error": {"message": "not this model"}}', 403)
ANSWERED = [head() + CHAT]


class Vault:
    """Gives a new key each time that it is asked."""

    def __init__(self, *, lasts_s: float | None = None) -> None:
        self.lasts_s = lasts_s
        self.wanted: list[KeyWanted] = []

    def _next(self, wanted: KeyWanted) -> Credential:
        self.wanted.append(wanted)
        return Credential(f"key-of-the-vault-{len(self.wanted)}", self.lasts_s)

    async def give(self, wanted: KeyWanted) -> Credential:
        await asyncio.sleep(0)
        return self._next(wanted)

    def give_plainly(self, wanted: KeyWanted) -> str:
        assert threading.current_thread() is not threading.main_thread()
        return self._next(wanted).value


def desk(server: RawServer, give: Callable[..., Any], **options: Any) -> Graph[Any, Any]:
    model = connect(
        "openai:gpt-x", credentials=give, base_url=f"{server.url}/v1", retry=FAST, **options
    )
    return Graph("desk", START >> Agent("clerk") >> END, model=model)


def keys_in(server: RawServer) -> list[str]:
    found: list[str] = []
    for request in server.requests:
        lines = request.decode().split("\r\n")
        found += [line.rpartition(" ")[2] for line in lines if line.startswith("authorization: ")]
    return found


@pytest.mark.parametrize("how", ["give", "give_plainly"])
def test_a_key_is_asked_for_once_and_anew_when_it_was_refused(how: str) -> None:
    vault = Vault()
    with RawServer(ANSWERED, ANSWERED, REFUSED, ANSWERED) as server:
        graph = desk(server, getattr(vault, how))
        assert not vault.wanted
        for _ in range(3):
            run = walk(graph, "hi")
            assert (run.error, run.output) == (None, "Hello world")
        assert keys_in(server) == [f"key-of-the-vault-{number}" for number in (1, 1, 1, 2)]
    assert vault.wanted == [
        KeyWanted("openai", "openai:gpt-x"),
        KeyWanted("openai", "openai:gpt-x", refused=True),
    ]
    [told] = [event for event in run.events if isinstance(event, ModelRetried)]
    assert "AuthError" in told.error
    shown = [json.dumps(to_record(event)) for event in run.events] + [repr(graph.model)]
    assert not any("key-of-the-vault" in text for text in shown)


def test_who_gives_keys_is_not_asked_for_ever() -> None:
    vault = Vault()
    with RawServer(REFUSED) as server:
        run = walk(desk(server, vault.give), "hi")
        assert isinstance(run.error, errors.AuthError)
        assert len(server.requests) == 2
        assert "key-of-the-vault" not in str(run.error)
        # The next request is given a fresh one, and told why.
        walk(desk(server, vault.give), "hi")
    assert [wanted.refused for wanted in vault.wanted[:2]] == [False, True]


def test_what_the_key_is_not_to_blame_for_asks_for_no_other() -> None:
    vault = Vault()
    with RawServer(FORBIDDEN) as server:
        run = walk(desk(server, vault.give), "hi")
        assert isinstance(run.error, errors.AuthError)
        assert len(server.requests) == 1
    assert len(vault.wanted) == 1


def test_a_key_that_has_run_out_is_not_sent() -> None:
    vault = Vault(lasts_s=60)
    now = 0.0
    keys = GivenKeys("openai:gpt-x", vault.give, clock=lambda: now)

    async def main() -> None:
        nonlocal now
        first = await keys.fetch()
        now = 59
        assert await keys.fetch() is first
        now = 60
        second = await keys.fetch()
        assert second is not first
        assert not vault.wanted[-1].refused
        # Somebody else has had it renewed meanwhile.
        keys.drop(first)
        assert await keys.fetch() is second

    asyncio.run(main())


def test_requests_at_once_ask_once() -> None:
    vault = Vault()
    keys = GivenKeys("openai:gpt-x", vault.give)

    async def main() -> None:
        given = await asyncio.gather(*(keys.fetch() for _ in range(9)))
        assert len(set(map(id, given))) == 1

    asyncio.run(main())
    asyncio.run(main())  # in another event loop, too
    assert len(vault.wanted) == 1


def broken(wanted: KeyWanted) -> Any:
    raise RuntimeError("the vault has said key-of-the-vault-0")


def silent(wanted: KeyWanted) -> Any:
    return None


def empty(wanted: KeyWanted) -> Any:
    return "two words"


@pytest.mark.parametrize(
    ("give", "why"),
    [
        (broken, "credentials= for openai:gpt-x failed with RuntimeError; nothing was sent"),
        (silent, "credentials= for openai:gpt-x gave NoneType"),
        (empty, "cannot be a key"),
    ],
)
def test_what_gives_no_key_is_told(give: Any, why: str) -> None:
    with RawServer(ANSWERED) as server:
        run = walk(desk(server, give), "hi")
        assert isinstance(run.error, errors.AuthError)
        assert why in str(run.error)
        assert "key-of-the-vault" not in str(run.error)
        assert not server.requests


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"credentials": "vault"}, "give a function of what is wanted"),
        ({"credentials": broken, "key": "sk-1"}, "give credentials=, or key= or keys=, not both"),
    ],
)
def test_what_contradicts_itself_is_refused(options: Any, why: str) -> None:
    with pytest.raises(errors.DeclarationError, match=why):
        connect("openai:gpt-x", **options)


def test_a_file_names_the_function(tmp_path: Path) -> None:
    (tmp_path / "vault.py").write_text(
        "async def give_key(wanted):\n    return 'key-of-the-file'\n"
    )
    path = tmp_path / "desk.yaml"
    with RawServer(ANSWERED) as server:
        path.write_text(
            "graph: desk\n"
            f"model: {{name: 'openai:gpt-x', credentials: 'vault:give_key', base_url: '{server.url}/v1'}}\n"
            "nodes:\n  clerk: {kind: agent}\n"
            "edges:\n  - START >> clerk >> END\n"
        )
        graph = Graph.from_yaml(str(path))
        assert "credentials: vault:give_key" in graph.to_yaml()
        assert walk(graph, "hi").output == "Hello world"
        assert keys_in(server) == ["key-of-the-file"]
