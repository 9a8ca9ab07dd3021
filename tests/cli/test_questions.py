"""Open questions on a real terminal (a pty): answers are typed by their type, and the run goes on."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pty")

from graphflow import Store
from tests import programs
from tests.cli.terminal import Terminal, on_a_terminal

GRAPH = """
from enum import Enum
from pydantic import BaseModel
from graphflow import END, START, Graph, Human, node

class Kind(Enum):
    short = "short"
    long = "long"

class Size(BaseModel, frozen=True):
    pages: int = 3

class Draft(BaseModel, frozen=True):
    text: str

class Approved(BaseModel, frozen=True):
    text: str
    sure: bool
    kind: Kind = Kind.short
    size: Size
    price: float | None = None
    tags: list[str]
    score: int = 5

class Rejected(BaseModel, frozen=True):
    why: str

@node
async def write(text: str) -> Draft:
    with open("written.txt", "a") as file:
        file.write("once ")
    return Draft(text=text)

@node
async def publish(approved: Approved) -> str:
    return approved.model_dump_json()

@node
async def drop(rejected: Rejected) -> str:
    return "dropped: " + rejected.why

editor = Human("editor", input=Draft, output=Approved | Rejected)
desk = Graph("desk", START >> write >> editor, editor[Approved] >> publish >> END, editor[Rejected] >> drop >> END)
"""
CALLS = """
from graphflow import END, START, Context, Graph, node, tool

@tool(approval=True, effects=["writes"])
def pay(to: str, amount: int) -> str:
    '''Pays.'''
    return f"paid {amount} to {to}"

@node(calls=[pay])
async def ask(text: str, ctx: Context) -> str:
    said = [await ctx.call(pay, {"to": text, "amount": n}) for n in (1, 2)]
    return ", ".join(said)

payer = Graph("payer", START >> ask >> END)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "desk.py").write_text(GRAPH)
    (tmp_path / "payer.py").write_text(CALLS)
    return tmp_path


def says(terminal: Terminal, *turns: tuple[str, str]) -> None:
    """Waits for each prompt, and types behind it."""
    at = 0
    for prompt, text in turns:
        at = terminal.wait_for(prompt, at)
        terminal.type(text + "\n")


def test_a_model_is_asked_for_field_by_field_and_the_run_goes_on(folder: Path) -> None:
    with on_a_terminal(folder, "run", "desk.py", "bees can fly") as terminal:
        at = terminal.wait_for("graphflow: 'editor' (in desk) asks:")
        at = terminal.wait_for('    text (str): "bees can fly"', at)
        terminal.wait_for("1 Approved  2 Rejected", at)
        says(
            terminal,
            ("which?", "3"),
            ("type a number from 1 to 2, or one of the names", "Approved"),
            ("text (text):", "Bees fly."),
            ("sure [y/n]", ""),
            ("type y or n", "y"),
            ("kind [1]", "long"),
            ("pages (whole number) [3]:", "many"),
            ("that is no whole number", "7"),
            ("price (number) [null]:", "2.5"),
            ("tags 1, empty: no more (text):", "bees"),
            ("tags 2, empty: no more (text):", "wings"),
            ("tags 3, empty: no more (text):", ""),
            ("score (whole number) [5]:", ""),
        )
        assert terminal.end() == 0, terminal.text
    answer = terminal.text[terminal.text.index('{"text"') :].splitlines()[0]
    assert json.loads(answer) == {
        "text": "Bees fly.",
        "sure": True,
        "kind": "long",
        "size": {"pages": 7},
        "price": 2.5,
        "tags": ["bees", "wings"],
        "score": 5,
    }
    assert (folder / "written.txt").read_text() == "once "


def test_the_other_arm(folder: Path) -> None:
    with on_a_terminal(folder, "run", "desk.py", "x") as terminal:
        says(terminal, ("which?", "2"), ("why (text):", "dull"))
        assert terminal.end() == 0
    assert "dropped: dull" in terminal.text


def test_where_the_input_ends_it_goes_on_waiting_and_is_answered_later(folder: Path) -> None:
    store = "sqlite:runs.db"
    with on_a_terminal(folder, "run", "desk.py", "x", "--store", store, "--id", "r") as terminal:
        terminal.wait_for("which?")
        terminal.type("\x04")
        assert terminal.end() == 4
    assert "it waits for editor-" in terminal.text
    assert "graphflow answer r" in terminal.text
    with on_a_terminal(
        folder, "answer", "r", "--store", store, "--resume", "--graph", "desk.py"
    ) as terminal:
        says(terminal, ("which?", "2"), ("why (text):", "later"))
        assert terminal.end() == 0, terminal.text
    assert "dropped: later" in terminal.text


def test_ctrl_c_at_a_question_ends_the_command(folder: Path) -> None:
    with on_a_terminal(
        folder, "run", "desk.py", "x", "--store", "sqlite:runs.db", "--id", "r"
    ) as terminal:
        terminal.wait_for("which?")
        terminal.process.send_signal(2)
        assert terminal.end() == 130

    async def status() -> str:
        async with Store.open(f"sqlite:{folder / 'runs.db'}") as store:
            return (await store.header("r")).status

    assert asyncio.run(status()) == "waiting"


def test_events_of_all_sittings_stand_in_the_file_once(folder: Path) -> None:
    with on_a_terminal(folder, "run", "desk.py", "x", "--events", "events.jsonl") as terminal:
        says(terminal, ("which?", "2"), ("why (text):", "dull"))
        assert terminal.end() == 0
    _, *written = (folder / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in written]
    assert kinds.count("run.start") == kinds.count("run.resume") == 1
    assert kinds.count("question.asked") == kinds.count("question.answered") == 1
    assert (
        kinds.index("question.asked") < kinds.index("run.resume") < kinds.index("question.answered")
    )


def test_always_is_one_for_the_rest_of_the_run(folder: Path) -> None:
    with on_a_terminal(folder, "run", "payer.py", "Anna") as terminal:
        says(terminal, ("Allow it? [y/N/a(lways)/e(dit)]", "a"))
        assert terminal.end() == 0
    assert "paid 1 to Anna, paid 2 to Anna" in terminal.text


def test_arguments_are_edited_one_by_one(folder: Path) -> None:
    with on_a_terminal(folder, "run", "payer.py", "Anna") as terminal:
        says(
            terminal,
            ("Allow it?", "e"),
            ("to (text) [Anna]:", "Bert"),
            ("amount (JSON) [1]:", "9"),
            ("Allow it?", "e"),
            ("to (text) [Anna]:", ""),
            ("amount (JSON) [2]:", ""),
        )
        assert terminal.end() == 0, terminal.text
    assert "paid 9 to Bert, paid 2 to Anna" in terminal.text


def test_without_a_terminal_it_is_said_how_to_answer(folder: Path) -> None:
    words = ("run", "desk.py", "x", "--store", "sqlite:runs.db", "--id", "r")
    done = programs.run("-m", "graphflow", *words, cwd=folder, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 4
    assert "it waits for editor-" in done.stderr
    assert "graphflow answer r" in done.stderr
