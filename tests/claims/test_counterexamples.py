"""What refutes a claim: in words, on the picture, as a test that runs; from code, from files, from the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphflow import END, START, Apart, AtMost, Before, Exactly, Graph, Never, Only, node
from graphflow.claims.claim_proofs import ClaimProofs
from graphflow.claims.verdict import Counterexample
from graphflow.cli.app import app
from graphflow.declaration.claims import Claim
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.files import load_graph
from graphflow.files.claims import read_claim
from graphflow.testing import breaks
from graphs.desk import desk
from tests.claims.random_graphs import random_graph
from tests.claims.seeded_claims import seeded_claims


def steps_of(example: Counterexample) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
    return [(step.acts, step.outcomes) for step in example.steps if step.outcomes]


@pytest.mark.parametrize("seed", range(12))
def test_every_counterexample_of_a_random_graph_runs(seed: int) -> None:
    graph = random_graph(seed)
    proofs = ClaimProofs(graph)
    for claim in seeded_claims(graph, seed, 14):
        example = proofs.verdict(claim, 4_000).counterexample
        if example is None or any("is cancelled" in step.does for step in example.steps):
            continue  # when what was cancelled ends is not for stand-ins to say
        assert asyncio.run(breaks(claim, graph, steps_of(example))), example


@pytest.mark.parametrize(
    "claim",
    [
        Before("check_order", "answer"),
        AtMost("orders", 1),
        Apart("orders", "prices"),
        Exactly("orders", 1),
        Never("compose", after="look_up_order"),
    ],
)
def test_every_counterexample_of_the_desk_runs(claim: Claim) -> None:
    example = desk.prove(claim).counterexample
    assert example is not None
    assert asyncio.run(breaks(claim, desk, steps_of(example)))


def test_a_counterexample_is_a_test_that_passes(tmp_path: Path) -> None:
    example = desk.prove(AtMost("orders", 1)).counterexample
    assert example is not None
    text = example.to_test()
    names: dict[str, object] = {}
    exec(compile(text, "test_written.py", "exec"), names)  # our own text
    written = names["test_a_walk_breaks_the_claim"]
    assert callable(written)
    written()


def test_a_walk_that_the_graph_allows_no_more_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="cannot do what step"):
        asyncio.run(
            breaks(AtMost("orders", 1), desk, [((), ("answers Inbox",)), ((1,), ("rests",))])
        )


def test_a_walk_that_keeps_the_claim_does_not_break_it() -> None:
    steps = [((), ("answers Inbox",)), ((1,), ("answers list[Mail] of 1",))]
    assert not asyncio.run(breaks(AtMost("orders", 1), desk, steps))


def test_a_refuted_claim_is_drawn_with_its_steps(tmp_path: Path) -> None:
    verdict = desk.prove(Before("check_order", "answer"))
    path = desk.draw(str(tmp_path / "why.mmd"), verdict=verdict)
    drawn = Path(path).read_text(encoding="utf-8")
    assert "3. answers question" in drawn
    assert "breaks Before" in drawn
    with pytest.raises(DeclarationError, match="only a walk that refutes"):
        desk.draw(str(tmp_path / "why.mmd"), verdict=desk.prove(AtMost("to_table", 1)))


# -- files -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Before(approve, refund)", Before("approve", "refund")),
        ("Before(critic[Approved], publish)", Before("critic[Approved]", "publish")),
        ("Never('a > b', after=c)", Never("a > b", after="c")),
        ("AtMost(charge, 1, per=fork)", AtMost("charge", 1, per="fork")),
        ("Only(clerk, calls=[refund, charge])", Only("clerk", calls=["refund", "charge"])),
    ],
)
def test_a_claim_is_read_from_a_text(text: str, claim: Claim) -> None:
    assert read_claim(text) == claim
    assert read_claim(repr(claim)) == claim


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("approve first", "is not a claim"),
        ("Befor(a, b)", "did you mean 'Before'"),
        ("AtMost(a, 1 + 1)", "write other names in quotes"),
        ("Before(a)", "lacks"),
        ("Before(**a)", "means nothing"),
        ("__import__('os')", "there is no claim"),
    ],
)
def test_what_is_no_claim_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        read_claim(text)


@node
async def look(text: str) -> str:
    return text


def test_claims_of_a_file_make_the_round_trip(tmp_path: Path) -> None:
    claims = [AtMost("look", 1), Before("look", "look2")]
    (tmp_path / "steps.py").write_text(
        "from graphflow import node\n\n@node\nasync def look(text: str) -> str:\n    return text\n"
    )
    graph = Graph("g", START >> look >> look.named("look2") >> END, claims=claims)
    file = tmp_path / "g.yaml"
    text = graph.to_yaml().replace("tests.claims.test_counterexamples", "steps")
    file.write_text(text, encoding="utf-8")
    assert load_graph(str(file), Graph).claims == graph.claims
    broken = text.replace("AtMost('look', 1)", "AtMost('look')")
    file.write_text(broken, encoding="utf-8")
    with pytest.raises(FileUnreadable, match="lacks 'times'"):
        load_graph(str(file), Graph)


# -- the command line ------------------------------------------------------------------------------
def test_prove_says_how_a_claim_holds(tmp_path: Path) -> None:
    runner = CliRunner()
    proven = runner.invoke(app, ["prove", "desk", "AtMost(to_table, 1)"])
    assert (proven.exit_code, "proven" in proven.output) == (0, True)
    test, picture = tmp_path / "test_desk.py", tmp_path / "desk.mmd"
    refuted = runner.invoke(
        app,
        ["prove", "desk", "AtMost(orders, 1)", "--test", str(test), "--picture", str(picture)],
    )
    assert refuted.exit_code == 1
    assert "refuted by a walk of 4 steps" in refuted.output
    assert "def test_a_walk_breaks_the_claim" in test.read_text(encoding="utf-8")
    assert picture.exists()
    explored = runner.invoke(app, ["prove", "desk", "--explore"])
    assert "may end: completed" in explored.output
