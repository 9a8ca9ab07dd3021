"""What `graphflow prove` does."""

from __future__ import annotations

from pathlib import Path

from graphflow.claims import ClaimVerdict
from graphflow.cli.printing import out
from graphflow.files.claims import read_claim
from graphflow.graph import RunnableGraph

NO_CLAIMS = "the graph declares no claims; name one: graphflow prove GRAPH \"Before('a', 'b')\""


def prove_claims(
    graph: RunnableGraph,
    claim: str | None,
    states: int | None,
    lists: int | None,
    picture: Path | None,
    test: Path | None,
) -> int:
    """Says how a claim holds, or all that the graph declares; the exit code is 1 if one of them does not."""
    claims = graph.claims if claim is None else (read_claim(claim),)
    verdicts = [graph.prove(each, states=states, lists=lists) for each in claims]
    for verdict in verdicts:
        out(str(verdict))
    if not verdicts:
        out(NO_CLAIMS)
    refuted = [verdict for verdict in verdicts if verdict.counterexample is not None]
    if refuted:
        _show(graph, refuted[0], picture, test)
    all_hold = all(verdict.holds for verdict in verdicts)
    return 0 if all_hold else 1


def explore_walks(graph: RunnableGraph, states: int | None, lists: int | None) -> None:
    """Prints how walks may end, and what none does."""
    found = graph.explore(
        states=100_000 if states is None else states, lists=2 if lists is None else lists
    )
    out(str(found))


def _show(
    graph: RunnableGraph, verdict: ClaimVerdict, picture: Path | None, test: Path | None
) -> None:
    """Writes the walk that refutes a claim where it is wanted."""
    example = verdict.counterexample
    assert example is not None
    if picture is not None:
        written = graph.draw(str(picture), verdict=verdict)
        out(f"wrote {written}")
    if test is not None:
        test.write_text(example.to_test(), encoding="utf-8")
        out(f"wrote {test}")
