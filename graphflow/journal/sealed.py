"""What a store keeps under a seal: the content of rows, large values, answers, and what a header tells beside status and times.

    in clear      ids of runs, names of graphs, status, times, leases, how many rows there are and how long each is
    sealed        kind, place and body of a row; large values; questions, answers and who gave them; `about` and `metadata`
    by a digest   names of large values and of answers, made with the data key

The places here stand in the seals: what is called otherwise one day no longer opens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from graphflow.errors import RunDamaged, SealBroken
from graphflow.journal.exchanges import StoredExchange
from graphflow.journal.seal import PLAIN, Seal
from graphflow.journal.stored import Json, StoredAnswer, StoredRow

_ThreeTexts: TypeAlias = tuple[str, str, str]
_HeaderData: TypeAlias = Mapping[str, Json]
_LargeValues: TypeAlias = Mapping[str, bytes]
_SealedRow: TypeAlias = Sequence[Any]
"""A row as the drivers of databases give it: its number, and what was sealed. None: it lies there in clear, and is none of ours."""


# -- rows ------------------------------------------------------------------------------------------
def seal_row(seal: Seal, row: StoredRow) -> bytes:
    """The content of a row. Its number stands beside it, and is part of its seal."""
    packed = _packed(row.kind, row.place, row.body)
    content = packed.encode(errors="surrogatepass")
    return seal.seal(content, f"rows {row.number} row")


def open_row(
    seal: Seal,
    run: str,
    number: int,
    sealed: bytes,
) -> StoredRow:
    """The row that was sealed under a number.

    Raises:
        RunDamaged: it was not.
    """
    try:
        opened = seal.open(sealed, f"rows {number} row")
    except SealBroken as broken:
        raise RunDamaged(run, number, str(broken)) from None
    packed = opened.decode(errors="surrogatepass")
    kind, place, body = _unpacked(packed)
    return StoredRow.of(number, kind, place, body)


def open_rows(
    seal: Seal,
    run: str,
    page: Iterable[_SealedRow],
) -> list[StoredRow]:
    """Rows in order, up to one that does not open: whoever reads on meets it first.

    Args:
        seal: of the run.
        run: its id.
        page: rows by their numbers.

    Raises:
        RunDamaged: already the first of them does not open.
    """
    rows: list[StoredRow] = []
    for number, sealed in page:
        content: bytes = sealed or b""
        try:
            row = open_row(seal, run, number, content)
        except RunDamaged:
            if not rows:
                raise
            break
        rows.append(row)
    return rows


# -- large values ----------------------------------------------------------------------------------
def seal_large(seal: Seal, large: _LargeValues) -> _LargeValues:
    """Large values by the names under which they are kept."""
    if seal is PLAIN or not large:
        return large
    kept: dict[str, bytes] = {}
    for digest, content in large.items():
        name = seal.name(digest)
        kept[name] = seal.seal(content, f"large {digest}")
    return kept


def open_large(
    seal: Seal,
    digest: str,
    sealed: bytes | None,
) -> bytes | None:
    """The large value of a digest, if it is kept.

    Raises:
        SealBroken: it is not as it was written.
    """
    if sealed is None:
        return None
    place = f"large {digest}"
    return seal.open(sealed, place)


# -- answers ---------------------------------------------------------------------------------------
def seal_answer(
    seal: Seal,
    question: str,
    value: str,
    by: str,
) -> _ThreeTexts:
    """Name, value and giver of an answer as they are kept."""
    if seal is PLAIN:
        return question, value, by
    name = seal.name(question)
    packed = _packed(question, by, value)
    sealed = seal.seal_text(packed, f"answers {name}")
    return name, sealed, ""


def open_answer(seal: Seal, answer: StoredAnswer) -> StoredAnswer:
    """The answer that is kept.

    Raises:
        SealBroken: it is not as it was written.
    """
    if seal is PLAIN:
        return answer
    place = f"answers {answer.question}"
    packed = seal.open_text(answer.value, place)
    question, by, value = _unpacked(packed)
    return replace(answer, question=question, value=value, by=by)


# -- conversations ---------------------------------------------------------------------------------
def seal_exchange(seal: Seal, exchange: StoredExchange) -> StoredExchange:
    """An exchange as it is kept. Its number and its run stand beside it, and are part of its seal."""
    if seal is PLAIN:
        return exchange
    body = seal.seal_text(exchange.body, _exchange_place(exchange))
    # A checksum of what is sealed would tell something of it, and the seal is one itself.
    return replace(exchange, body=body, checksum=0)


def open_exchange(seal: Seal | None, exchange: StoredExchange) -> StoredExchange:
    """The exchange that is kept; one that does not open, or whose key is gone, is not sound."""
    if seal is PLAIN:
        return exchange
    if seal is None:
        return replace(exchange, body="", checksum=-1)
    try:
        body = seal.open_text(exchange.body, _exchange_place(exchange))
    except SealBroken:
        return replace(exchange, body="", checksum=-1)
    return StoredExchange.of(exchange.number, exchange.run, exchange.at, body)


def _exchange_place(exchange: StoredExchange) -> str:
    return f"exchanges {exchange.number} {exchange.run}"


def seal_about(seal: Seal, about: _HeaderData) -> str:
    """What is kept about a conversation, as text."""
    text = json.dumps(about, separators=(",", ":"))
    return seal.seal_text(text, "conversations about")


def open_about(seal: Seal | None, text: str) -> _HeaderData:
    """What was written about a conversation; of one whose key is gone, nothing.

    Raises:
        ValueError: it is not as it was written (`SealBroken` is one, too).
    """
    if seal is None:
        return {}
    about: _HeaderData = json.loads(seal.open_text(text, "conversations about"))
    return about


# -- headers ---------------------------------------------------------------------------------------
def seal_data(
    seal: Seal,
    data: _HeaderData,
    field: str,
) -> str:
    """`about` or `metadata` of a run as text."""
    text = json.dumps(data, separators=(",", ":"))
    return seal.seal_text(text, f"runs {field}")


def open_data(
    seal: Seal,
    text: str,
    field: str,
) -> _HeaderData:
    """What was written of a run's `about` or `metadata`.

    Raises:
        ValueError: it is not as it was written (`SealBroken` is one, too).
    """
    opened = seal.open_text(text, f"runs {field}")
    data: _HeaderData = json.loads(opened)
    return data


# -- three texts as one ----------------------------------------------------------------------------
def _packed(first: str, second: str, third: str) -> str:
    """Three texts, behind the lengths of two: JSON would have each sign of the long one looked at."""
    lengths = f"{len(first)} {len(second)}"
    return f"{lengths}\n{first}{second}{third}"


def _unpacked(packed: str) -> _ThreeTexts:
    lengths, _, content = packed.partition("\n")
    first, second = map(int, lengths.split())
    rest = content[first:]
    return (
        content[:first],
        rest[:second],
        rest[second:],
    )
