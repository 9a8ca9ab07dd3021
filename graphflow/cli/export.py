"""All that is kept of a run as lines of JSON, for whoever has nothing but a reader of JSON.

{"run": "desk-1", "graph": "desk", "status": "completed", ...}       the first line
{"large": "9f86d0...", "value": ...}                                 before the row that names it
{"number": 0, "kind": "run.start", "place": "", "body": {...}}       each row
{"answer": "boss-1a2b", "value": ..., "by": "ann", "at": "..."}      answers, at the end
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graphflow.cli.run_list import iso_time
from graphflow.cli.stored_runs import header_of
from graphflow.errors import FileUnreadable
from graphflow.journal.copying import named_in
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader


async def export_run(store: Store, id: str | None, path: Path | None) -> int:
    """Writes a run; how many lines it took.

    Raises:
        FileUnreadable: the file cannot be written.
        RunDamaged: a row is not as it was written; those before it are.
    """
    header = await header_of(store, id)
    count = 0
    with ExitStack() as stack:
        out = sys.stdout
        if path is not None:
            try:
                out = stack.enter_context(path.open("w", encoding="utf-8"))
            except OSError as error:
                raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None
        async for line in _lines(store, header):
            # ASCII only: half a character of a surrogate pair can be kept, and no file could hold it.
            out.write(json.dumps(line) + "\n")
            count += 1
        out.flush()
    return count


async def _lines(store: Store, header: RunHeader) -> AsyncIterator[dict[str, Any]]:
    yield {
        "run": header.id,
        "graph": header.graph,
        "status": header.status,
        "began": iso_time(header.began),
        "changed": iso_time(header.changed),
        "rows": header.rows,
        "about": dict(header.about),
        "metadata": dict(header.metadata),
        "format": header.format,
    }
    written: set[str] = set()
    async for row in store.rows(header.id):
        body = json.loads(row.body)
        for digest in named_in(row, body):
            if digest not in written:
                written.add(digest)
                content = await store.large(header.id, digest)
                value = None if content is None else json.loads(content)
                yield {"large": digest, "value": value}
        yield {"number": row.number, "kind": row.kind, "place": row.place, "body": body}
    # They stand beside the rows: whoever answers does not own the run.
    for answer in (await store.answers(header.id)).values():
        yield {
            "answer": answer.question,
            "value": json.loads(answer.value),
            "by": answer.by,
            "at": iso_time(answer.at),
        }
