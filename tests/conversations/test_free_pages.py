"""What PostgreSQL keeps of what was forgotten, without a key, and what takes it away: as the documentation has it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from graphflow import Store
from graphflow.journal.stores.postgres_schema import TABLES
from tests.conversations.test_chat import SECRETLY, chat_in, said_in, say_all
from tests.stand_ins.postgres import Postgres

PAGE = Path(__file__).resolve().parents[2] / "docs" / "encryption.md"


def test_what_the_docs_say_of_postgresql_is_so(server: Postgres) -> None:
    """Without a key the text lies in a free page until the tables are written anew."""
    asyncpg = pytest.importorskip("asyncpg")
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("```sql\n")
    command, _, _ = rest.partition("```")
    address = server.new_database()
    assert set(re.findall(r"graphflow_\w+", command)) == set(TABLES) - {"graphflow_keys"}

    async def main() -> None:
        async with Store.open(address) as store:
            # Pages fill up from their end: what stays here is moved over nothing of what goes.
            other = chat_in(store, "user:43")
            await say_all(other, "something else")
            chat = chat_in(store)
            await say_all(chat, SECRETLY, "two")
            assert await is_on_disk(address, server)
            await chat.forget()
            await store.compact()
            assert await is_on_disk(address, server), (
                "a plain VACUUM would do, and the docs are wrong"
            )
            db = await asyncpg.connect(address)
            await db.execute(command)
            await db.close()
            assert not await is_on_disk(address, server)
            assert await said_in(other) == ["something else"]

    asyncio.run(main())


async def is_on_disk(address: str, server: Postgres) -> bool:
    """Whether the text lies in a table of the database, after all pages have been written out."""
    import asyncpg

    db = await asyncpg.connect(address)
    await db.execute("CHECKPOINT")
    number = await db.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
    await db.close()
    folder = server.folder / "data" / "base" / str(number)
    return any(SECRETLY.encode() in file.read_bytes() for file in folder.iterdir())
