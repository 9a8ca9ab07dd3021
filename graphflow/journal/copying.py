"""Copies runs and conversations from one store into another: out of one in clear into one with a key, out of files into a database.

Rules:
1. The store that is read is not changed. Who wants its content gone removes it when the copy is there.
2. A run is there whole or not at all: one whose rows cannot be read is removed again, and named.
3. A run that somebody is working on is left out, and named; so is one whose id is taken in the other store. So the same copy
   again takes only what is missing.
4. What was kept last counts as changed when it was copied.
5. What was spent for budgets comes along, but for accounts that the other store has already.
6. A conversation comes with its exchanges, as they lie there. One that a run has which is left out is left out with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphflow.errors import RunDamaged, RunExists
from graphflow.journal.accounts import AccountCharge
from graphflow.journal.exchanges import ConversationChange, ConversationHeader
from graphflow.journal.row_reader import digests_in
from graphflow.journal.store import PAGE, Ownership, Store
from graphflow.journal.stored import RunHeader, StoredRow

HOLDER = "copy"
"""Who owns a run while it is copied."""
PRESENT = "it is there already"


@dataclass(slots=True)
class CopyReport:
    """What became of the runs of a store.

    Attributes:
        copied: the ids of those that are in the other store now.
        conversations: the conversations that are, in words.
        left_out: why each other one is not, by its id; of a conversation, by its words.
    """

    copied: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


async def copy_runs(source: Store, target: Store) -> CopyReport:
    """Copies all runs of a store, the oldest first, and its conversations.

    Raises:
        StoreError: one of the stores cannot be used. What was copied before is there.
    """
    report = CopyReport()
    headers = await source.runs()
    for header in reversed(headers):
        why = await _copy(source, target, header)
        if why:
            report.left_out[header.id] = why
        else:
            report.copied.append(header.id)
    for conversation in await source.conversations():
        await _copy_conversation(source, target, conversation, report)
    await _copy_accounts(source, target)
    return report


async def _copy_accounts(source: Store, target: Store) -> None:
    """Has the other store hold what was spent. The same copy again adds nothing twice."""
    there = {balance.account: balance for balance in await target.accounts()}
    for balance in await source.accounts():
        if balance.account in there:
            continue
        charge = AccountCharge(
            balance.account, balance.tokens, balance.nanodollars, until=balance.until
        )
        await target.charge([charge])


async def _copy_conversation(
    source: Store, target: Store, header: ConversationHeader, report: CopyReport
) -> None:
    words = str(header.name)
    if header.run in report.left_out and report.left_out[header.run] != PRESENT:
        report.left_out[words] = f"the run {header.run} has it, which is left out"
        return
    exchanges = await source.exchanges(header.name)
    begun = replace(header, version=1, until=0.0)
    if await target.change(ConversationChange(header.name, 0, begun, exchanges)):
        report.conversations.append(words)
    else:
        report.left_out[words] = PRESENT


async def _copy(source: Store, target: Store, header: RunHeader) -> str:
    """Copies a run; why it was left out, or ""."""
    lease = header.lease
    if lease is not None and lease.until > await source.now():
        return f"{lease.holder} is working on it"
    begun = replace(header, rows=0, lease=None)
    try:
        ownership = await target.create(begun, HOLDER)
    except RunExists:
        return PRESENT
    try:
        await _copy_rows(source, target, ownership)
    except RunDamaged as damage:
        await target.release(ownership)
        await target.delete(header.id)
        return str(damage)
    answers = await source.answers(header.id)
    for answer in answers.values():
        await target.put_answer(header.id, answer.question, answer.value, answer.by)
    await target.release(ownership)
    return ""


async def _copy_rows(source: Store, target: Store, ownership: Ownership) -> None:
    page: list[StoredRow] = []
    large: dict[str, bytes] = {}
    async for row in source.rows(ownership.run):
        page.append(row)
        for digest in named_in(row, json.loads(row.body)):
            content = await source.large(ownership.run, digest)
            if content is not None:
                large[digest] = content
        if len(page) >= PAGE:
            await target.append(ownership, page, large)
            page, large = [], {}
    if page:
        await target.append(ownership, page, large)


def named_in(row: StoredRow, body: Mapping[str, Any]) -> list[str]:
    """The digests of the large values that a row names; the first row names the form of its graph, too."""
    named = digests_in(row)
    form = body.get("form")
    return [*named, form] if isinstance(form, str) else named
