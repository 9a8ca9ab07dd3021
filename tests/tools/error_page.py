"""Writes `docs/errors.md`: every error with its code, its cause and its cure, from the classes themselves.

    python -m tests.tools.error_page

`tests/ground/test_error_codes.py` fails if the page is not what this would write.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from graphflow import errors
from graphflow.errors import GraphflowError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
HEAD = """\
# Errors: cause and cure

Every error of graphflow's own is a `GraphflowError` with a `code` that stays the same, a `hint`, a `url` that leads here, and
`retryable`: whether the same may well succeed a little later, or None where nobody can know. As plain data it is
`ErrorReport.of(error).to_json()`, with its causes and without secrets; what ended a run is `run.failure`, which also tells the
node, the last events, and how to go on. `graphflow show RUN --failure` prints it for a run that is kept.

```python
from graphflow import END, START, ErrorReport, Graph, node


@node
def fragile(text: str) -> str:
    raise TimeoutError("the desk is closed")


fragile_graph = Graph("fragile", START >> fragile >> END)
try:
    fragile_graph.run_sync("hello")
except TimeoutError as error:
    failure = error.run.failure
    assert (failure.node, failure.error.kind) == ("fragile", "TimeoutError")
    assert ErrorReport.of(error).to_json()["text"] == "the desk is closed"
```

This page is written by `python -m tests.tools.error_page`.
"""


def kinds(
    kind: type[GraphflowError] = GraphflowError, depth: int = 0
) -> Iterator[tuple[type[GraphflowError], int]]:
    """The public classes of errors, each behind the one that it refines, and how deep it stands."""
    yield kind, depth
    for each in kind.__subclasses__():
        if getattr(errors, each.__name__, None) is each:
            yield from kinds(each, depth + 1)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for kind, depth in kinds():
        parts.append(_entry(kind, depth))
    return "\n".join(parts)


def _entry(kind: type[GraphflowError], depth: int) -> str:
    cause = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]
    plain = " ".join(cause.split())
    hint = errors_hint(kind)
    again = {True: "; may succeed a little later", False: "; trying again is useless", None: ""}
    builtin = [base.__name__ for base in kind.__bases__ if not issubclass(base, GraphflowError)]
    parents = [base.__name__ for base in kind.__bases__ if issubclass(base, GraphflowError)]
    refines = ", ".join([*parents, *builtin])
    level = "##" if depth <= 1 else "###"
    return f"{level} {kind.code}\n\n`{kind.__name__}` ({refines}){again[kind.retryable]}.\n\n{plain}\n\n*Cure:* {hint}\n"


def errors_hint(kind: type[GraphflowError]) -> str:
    """The hint of a class, without an error of it."""
    prompt: str = kind.__new__(kind).hint
    return prompt


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
