"""Conversations as JSON lines, a file each: `conversations/GRAPH/KEY.jsonl`.

    {"exchange": 1, "run": ..., "at": ..., "body": ..., "checksum": ...}
    {"conversation": {"graph": ..., "key": ..., "head": 1, "version": 2, ...}, "of": {"run": ..., "rows": 12}}

Rules:
1. Each change ends with a line of the whole header; the last one counts. Exchanges behind it, and a line without its newline,
   were being written when the machine died: whoever writes next cuts them off.
2. A change that comes with the rows of a run is written before them, and counts when they are there: if its line is the last one,
   the run has to have as many rows as it says, or to be gone.
3. Where exchanges are withdrawn, the file is written anew, and what was in it is overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from graphflow.errors import ConversationUnreadable
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
)
from graphflow.journal.seal import PLAIN, Seal, SealOwner, conversation_owner
from graphflow.journal.sealed import open_about, open_exchange, seal_about, seal_exchange
from graphflow.journal.stored import Json
from graphflow.journal.stores.key_files import key_at, key_bytes
from graphflow.journal.stores.lines import (
    file_name,
    remove,
    replace_whole,
    write_lines,
    write_whole,
)
from graphflow.journal.vault import Vault

RowsOf: TypeAlias = Callable[[str], "int | None"]
"""How many rows a run has; None: it is gone."""
KeyPath: TypeAlias = Callable[[SealOwner], Path]
"""Where the data key of somebody lies."""
_HEADER = b'{"conversation":'
"""How the line of a header begins."""


class ConversationFolder:
    """The conversations in the folder of a store.

    Args:
        folder: where they lie.
        vault: the keys of the store.
        key_path: where the data key of somebody lies.
        rows_of: how many rows a run has.
    """

    def __init__(self, folder: Path, vault: Vault, key_path: KeyPath, rows_of: RowsOf) -> None:
        self.folder = folder
        self._vault = vault
        self._key_path = key_path
        self._rows_of = rows_of

    @property
    def is_empty(self) -> bool:
        """Whether no conversation was ever begun."""
        return not self.folder.exists()

    def find(self, name: ConversationName) -> ConversationHeader | None:
        """The header of a conversation, if there is such a conversation."""
        path = self._path(name)
        header, _ = self._sound(path)
        return header

    def every(self, graph: str | None) -> list[ConversationHeader]:
        """The headers of the conversations of a graph, or of all, the newest first."""
        found: list[ConversationHeader] = []
        for path in self.folder.glob("*/*.jsonl"):
            header, _ = self._sound(path)
            if header is not None and graph in (None, header.name.graph):
                found.append(header)
        return sorted(found, key=lambda header: header.changed, reverse=True)

    def exchanges(
        self, name: ConversationName, first: int, run: str | None
    ) -> list[StoredExchange]:
        """The exchanges of a conversation from a number on, or that of a run."""
        path = self._path(name)
        header, sound = self._sound(path)
        if header is None:
            return []
        seal = self._seal_of(name)
        found: list[StoredExchange] = []
        for expected, kept in enumerate(_exchanges_in(path.read_bytes()[:sound]), start=1):
            exchange = kept if kept.number == expected else _damaged(expected)
            if exchange.number >= first and run in (None, exchange.run):
                found.append(open_exchange(seal, exchange))
        return found

    def change(self, change: ConversationChange, rows: int | None = None) -> bool:
        """Changes a conversation; False: it is not what it is to be changed from.

        Args:
            change: the change.
            rows: how many rows its run has with it, if it comes with rows of one.
        """
        path = self._path(change.name)
        known, sound = self._sound(path)
        header = change.header
        if change.expected != (0 if known is None else known.version):
            return False
        if header is None:
            remove(self._key_path(conversation_owner(*change.name)))
            remove(path)
            return True
        seal = self._new_seal(change.name) if known is None else self._seal_of(change.name)
        if seal is None:
            raise ConversationUnreadable(
                f"the key of {change.name} is gone; forget it, and begin another one"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [*map(_exchange_line, (seal_exchange(seal, each) for each in change.added))]
        lines.append(_header_line(header, seal, change.added, rows))
        first = 0 if known is None else known.head
        if first > header.head:
            self._withdraw(path, sound, header.head, lines)
        else:
            write_lines(path, lines, sound)
        return True

    def _withdraw(self, path: Path, sound: int, head: int, lines: list[Json]) -> None:
        """Writes a file anew without the exchanges behind a head."""
        kept = [_exchange_line(each) for each in _exchanges_in(path.read_bytes()[:sound])][:head]
        texts = [json.dumps(line, separators=(",", ":")) for line in [*kept, *lines]]
        text = "\n".join([*texts, ""])
        replace_whole(path, text.encode(errors="surrogatepass"))

    # -- files -------------------------------------------------------------------------------------
    def _path(self, name: ConversationName) -> Path:
        return self.folder / file_name(name.graph) / (file_name(name.key) + ".jsonl")

    def _sound(self, path: Path) -> tuple[ConversationHeader | None, int]:
        """The header that counts, and how many bytes of the file are sound."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None, 0
        # From the end: of a long conversation only the last line has to be read.
        end = content.rfind(b"\n") + 1
        while end > 0:
            start = content.rfind(b"\n" + _HEADER, 0, end) + 1
            if start == 0 and not content.startswith(_HEADER):
                return None, 0
            end = content.index(b"\n", start) + 1
            line = _read_line(path, content[start:end])
            if self._counts(line):
                return self._header_of(line["conversation"]), end
            end = start
        return None, 0

    def _counts(self, line: dict[str, Any]) -> bool:
        """Whether the rows are there that a change came with."""
        of = line.get("of")
        if of is None:
            return True
        rows = self._rows_of(of["run"])
        return rows is None or rows >= of["rows"]

    def _header_of(self, fields: dict[str, Any]) -> ConversationHeader:
        name = ConversationName(fields.pop("graph"), fields.pop("key"))
        about = fields.pop("about")
        try:
            known = open_about(self._seal_of(name), about)
        except ValueError as error:
            raise ConversationUnreadable(f"the header of {name} is damaged: {error}") from None
        return ConversationHeader(name, **fields, about=known)

    # -- keys --------------------------------------------------------------------------------------
    def _seal_of(self, name: ConversationName) -> Seal | None:
        """The seal of a conversation; None: its key is gone."""
        if self._vault.is_clear:
            return PLAIN
        owner = conversation_owner(*name)
        return self._vault.seal(owner, key_at(self._key_path(owner)))

    def _new_seal(self, name: ConversationName) -> Seal:
        owner = conversation_owner(*name)
        seal, wrapped = self._vault.new(owner)
        if wrapped is not None:
            write_whole(self._key_path(owner), key_bytes(wrapped))
        return seal


def _exchanges_in(content: bytes) -> Iterator[StoredExchange]:
    """The exchanges in the sound part of a file; in the place of one that cannot be read, one that is not sound."""
    number = 0
    for line in content.splitlines():
        if line.startswith(_HEADER):
            continue
        number += 1
        try:
            fields = json.loads(line)
            yield StoredExchange(
                fields["exchange"], fields["run"], fields["at"], fields["body"], fields["checksum"]
            )
        except (KeyError, TypeError, ValueError):
            yield _damaged(number)


def _damaged(number: int) -> StoredExchange:
    return replace(StoredExchange.of(number, "", 0.0, ""), checksum=-1)


def _read_line(path: Path, line: bytes) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(line)
    except ValueError:
        raise ConversationUnreadable(
            f'{path} is not a conversation: its last line should be {{"conversation": ...}}'
        ) from None
    return read


def _exchange_line(kept: StoredExchange) -> Json:
    return {
        "exchange": kept.number,
        "run": kept.run,
        "at": kept.at,
        "body": kept.body,
        "checksum": kept.checksum,
    }


def _header_line(header: ConversationHeader, seal: Seal, added: object, rows: int | None) -> Json:
    fields: dict[str, Json] = {
        "graph": header.name.graph,
        "key": header.name.key,
        "head": header.head,
        "version": header.version,
        "last": header.last,
        "run": header.run,
        "until": header.until,
        "began": header.began,
        "changed": header.changed,
        "about": seal_about(seal, header.about),
    }
    line: dict[str, Json] = {"conversation": fields}
    if rows is not None:
        line["of"] = {"run": header.last, "rows": rows}
    return line
