"""What is kept of a run.

Rows are facts in the order in which they became known, or stretches of them. A loop may go on for ever, so old rows
can be dropped where a later one says how the walk stood. Whoever watches a run reads its journal, each at its own pace.

`store` is the seam to what lasts: memory, files, databases (`stores/`), which keep rows of text (`stored`).
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(
    __name__,
    (
        "migrations",
        "verdict",
        "fork_report",
        "question",
        "store",
        "stored",
        "key_ring",
        "copying",
    ),
)
