"""The table of events in docs/events.md, made of their classes.

python tests/tools/events_page.py           # prints it
python tests/tools/events_page.py --write   # puts it into the page
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from graphflow.event import Event
from graphflow.events import event_classes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "events.md"
BEGIN = "<!-- events: made by tests/tools/events_page.py -->"
END = "<!-- end of events -->"
ASIDE = re.compile(r" ?\((?:fact|follows|told only)[^)]*\)")


def row(kind: type[Event]) -> str:
    """The line of one class."""
    told = "fact"
    if kind.follows:
        told = "follows"
    elif kind.passing:
        told = "while it goes"
    first = (kind.__doc__ or "").splitlines()[0]
    what = ASIDE.sub("", first).replace("|", r"\|")
    own = [f"`{field.name}`" for field in fields(kind) if field.name not in ("at", "frame")]
    return f"| `{kind.kind}` | `{kind.__name__}` | {what} | {told} | {', '.join(own)} |"


def table() -> str:
    """All of them."""
    heads = "| kind | class | what it tells | told | fields, beside `at` and `frame` |\n|---|---|---|---|---|"
    rows = [row(kind) for _, kind in sorted(event_classes().items())]
    return "\n".join([heads, *rows])


def with_table(page: str) -> str:
    """A page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_table(text), encoding="utf-8")
    else:
        print(table())
