"""`graphflow chat` and `run --conversation`: the real command, through pipes and on a real terminal (a pty)."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import pytest

pytest.importorskip("pty")

from graphflow.cli.app import run_app
from tests import programs
from tests.cli.terminal import Terminal, on_a_terminal
from tests.waiting import until

GRAPHS = '''
import asyncio
from pathlib import Path
from subprocess import PIPE
from graphflow import END, START, Agent, Graph, Human, Wait, node, tool
from graphflow.model import Finished, TextDelta

class Slow:
    """Says "One", waits for the file `go` where it was told to, and says how many turns it has been shown."""
    name = "slow"

    async def stream(self, request):
        yield TextDelta("One")
        if request.turns[-1].text == "slowly":
            Path("asked").touch()
            while not Path("go").exists():
                await asyncio.sleep(0.01)
        yield TextDelta(f" of {len(request.turns)}")
        yield Finished("stop")

class Rude:
    """Moves the cursor, and leaves a carriage return at the end of a piece."""
    name = "rude"

    async def stream(self, request):
        yield TextDelta("a\\x1b[2Jb\\r")
        yield TextDelta("\\nc")
        yield Finished("stop")

talk = Graph("talk", START >> Agent("clerk", input=str) >> END, model=Slow())
rude = Graph("rude", START >> Agent("clerk", input=str) >> END, model=Rude())

@node(effects=[])
async def shout(text: str) -> str:
    if "fail" in text:
        raise ValueError("as you asked")
    return text.upper()

loud = Graph("loud", START >> Agent("draft", input=str) >> shout >> END)
inner = Graph("inner", START >> Agent("clerk", input=str) >> END)
outer = Graph("outer", START >> inner >> END)
modelless = Graph("modelless", START >> shout >> END)

@node(effects=[])
def draft(text: str) -> str:
    return f"Dear {text}"

letters = Graph("letters", START >> draft >> Human("editor", input=str, output=str) >> END)

@tool(approval=True, effects=["writes"])
def pay(to: str) -> str:
    """Pays."""
    return f"paid {to}"

payer = Graph("payer", START >> Agent("clerk", input=str, tools=[pay]) >> END)
'''
STORE = ("--store", "sqlite:chats.db")
KEPT = ("--conversation", "anna", *STORE)
PROMPT = "\n> "
ANSWERED = "\r\n\r\n> "
"""What stands behind an answer."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.py").write_text(GRAPHS)
    return tmp_path


@dataclass(frozen=True)
class Done:
    """What a command has printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def graphflow(folder: Path, *arguments: str, typed: str = "") -> Done:
    """A command in this process, which saves the second that a new one takes to start."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        chdir(folder),
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        patch.setattr(sys, "stdin", io.StringIO(typed))
        code = run_app(list(arguments))
    return Done(code, stdout.getvalue(), stderr.getvalue())


def says(terminal: Terminal, *turns: tuple[str, str]) -> int:
    """Waits for each text, and types behind it; the place behind the last one."""
    at = 0
    for shown, typed in turns:
        at = terminal.wait_for(shown, at)
        terminal.type(typed + "\n")
    return at


def leave(terminal: Terminal, at: int) -> int:
    """Ends the chat where the next line is asked for; the exit code."""
    terminal.wait_for(PROMPT, at - len(PROMPT))
    terminal.type("\x04")
    return terminal.end()


def numbers(folder: Path, graph: str = "g.py:talk") -> list[str]:
    """What was said in the conversation, as another process reads it."""
    done = graphflow(folder, "chat", graph, *KEPT, typed="/history\n")
    assert done.returncode == 0, done.stderr
    return [line.partition(" > ")[2] for line in done.stdout.splitlines() if " > " in line]


# -- through pipes ---------------------------------------------------------------------------------
def test_piped_each_line_has_its_answer_and_nothing_else_is_printed(folder: Path) -> None:
    typed = "hello\n\n//slash\nlast"
    done = graphflow(folder, "chat", "g.py:talk", *KEPT, typed=typed)
    assert (done.returncode, done.stdout) == (0, "One of 1\nOne of 3\nOne of 5\n"), done.stderr
    # Another process goes on where this one has ended.
    again = graphflow(folder, "chat", "g.py:talk", *KEPT, typed="again\n")
    assert again.stdout == "One of 7\n"
    assert numbers(folder) == ["hello", "/slash", "last", "again"]


def test_piped_it_is_told_how_to_go_on(folder: Path) -> None:
    done = graphflow(folder, "chat", "g.py:loud", "--model", "mock:echo", *STORE, typed="hello\n")
    assert done.stdout == "HELLO\n"
    (line,) = [line for line in done.stderr.splitlines() if "goes on" in line]
    command = line.split("`")[1]
    assert command.startswith("graphflow chat g.py:loud --conversation loud-")
    again = graphflow(folder, *command.split()[1:], typed="/history\n")
    assert again.stdout == "1 > hello\n    HELLO\n"


def test_piped_the_first_error_ends_the_chat(folder: Path) -> None:
    done = graphflow(folder, "chat", "g.py:modelless", *KEPT, typed="hello\nfail\nnever said\n")
    assert (done.returncode, done.stdout) == (1, "HELLO\n")
    assert "ValueError: as you asked" in done.stderr
    assert numbers(folder, "g.py:modelless") == ["hello"]


@pytest.mark.parametrize(
    ("arguments", "typed", "says"),
    [
        (("g.py:nothing",), "x\n", "nothing"),
        (("g.py:loud",), "x\n", "'draft' names no model"),
        (("g.py:talk", "--conversation", "anna"), "x\n", "nothing is kept here"),
        (("g.py:talk",), "/foo\n", "/foo is not a command"),
        (("g.py:talk",), "/undo\n", "nothing was ever said"),
        (("g.py:talk",), "x\n/undo 2\n", "undo(2)"),
        (("g.py:talk",), "x\n/history no\n", "whole number"),
        (("g.py:talk",), "x\n/fork\n", "/fork NAME"),
        (("g.py:talk",), "x\n/save g.py\n", "g.py is there already"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_two(
    folder: Path, arguments: tuple[str, ...], typed: str, says: str
) -> None:
    done = graphflow(folder, "chat", *arguments, typed=typed)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_piped_nobody_is_asked_and_the_answer_is_given_elsewhere(folder: Path) -> None:
    done = graphflow(folder, "chat", "g.py:letters", *KEPT, typed="Anna\nnever said\n")
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = [line for line in done.stderr.splitlines() if "graphflow answer" in line]
    answer = line.split("`")[1].split()[1:]
    # It still waits: nothing more is said.
    again = graphflow(folder, "chat", "g.py:letters", *KEPT, typed="never said\n")
    assert (again.returncode, again.stdout) == (4, "")
    given = graphflow(folder, *answer[:2], "editor", "Dear Anna!", *answer[2:])
    assert given.returncode == 0, given.stderr
    last = graphflow(folder, "chat", "g.py:letters", *KEPT, typed="/history\n")
    assert (last.returncode, last.stdout) == (0, "Dear Anna!\n1 > Anna\n    Dear Anna!\n")


def test_undo_fork_and_save(folder: Path) -> None:
    typed = "one\ntwo\n/undo\n/fork other 1\nthree\n/save all.md\n/save all.jsonl\n/save all.md\n"
    done = graphflow(folder, "chat", "g.py:talk", *KEPT, typed=typed)
    assert (done.returncode, done.stdout) == (0, "One of 1\nOne of 3\nOne of 3\n"), done.stderr
    assert "withdrawn: 2 > two" in done.stderr
    assert "--conversation other" in done.stderr
    text = (folder / "all.md").read_text()
    assert text.startswith("# other\n")
    assert "three" in text
    lines = (folder / "all.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["one", "three"]
    assert numbers(folder) == ["one"]


def test_usage_and_help_are_printed(folder: Path) -> None:
    done = graphflow(
        folder, "chat", "g.py:payer", "--model", "mock:echo", *KEPT, typed="a b\n/usage\n/help\n"
    )
    assert "this sitting: 1 answer, 1 model call, 2 + 2 tokens" in done.stdout
    assert "conversation anna: 1 exchange\n" in done.stdout
    for command in (
        "/help",
        "/history",
        "/undo",
        "/compact",
        "/fork",
        "/usage",
        "/save",
        "/drop",
        "/quit",
    ):
        assert f"\n{command}" in done.stdout


def test_a_chat_is_compacted(folder: Path) -> None:
    """Of three exchanges the last one is shown to whoever answers next; all stay."""
    typed = "a\nb\nc\n/compact\nd\n/compact 1\n/compact x\n"
    done = graphflow(folder, "chat", "g.py:talk", *KEPT, typed=typed)
    assert done.stdout.splitlines() == ["One of 1", "One of 3", "One of 5", "One of 3"]
    assert "2 exchanges left out from now on, 1 shown as before; nothing is deleted" in done.stderr
    assert "talk > " in done.stderr
    assert "6 turns, about" in done.stderr
    assert "/compact N: N must be a whole number from 0, and not 'x'" in done.stderr
    assert numbers(folder) == ["a", "b", "c", "d"]


def test_without_a_store_it_lives_as_long_as_the_chat(folder: Path) -> None:
    done = graphflow(folder, "chat", "g.py:talk", typed="a\nb\n/quit\nc\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "One of 1\nOne of 3\n", "")
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".db") == []


def test_a_project_keeps_it_where_its_runs_are(folder: Path) -> None:
    (folder / "graphs").mkdir()
    (folder / "g.py").rename(folder / "graphs" / "talk.py")
    done = graphflow(folder, "chat", "talk:talk", "--conversation", "anna", typed="a\n")
    assert done.stdout == "One of 1\n", done.stderr
    assert (folder / ".graphflow" / "runs.db").exists()
    listed = graphflow(folder, "runs", "--json")
    assert [row["graph"] for row in json.loads(listed.stdout)] == ["talk"]


def test_run_says_its_message_in_a_conversation(folder: Path) -> None:
    first = graphflow(folder, "run", "g.py:talk", "one", *KEPT)
    second = graphflow(folder, "run", "g.py:talk", "two", *KEPT)
    assert [first.stdout, second.stdout] == ["One of 1\n", "One of 3\n"], second.stderr
    assert numbers(folder) == ["one", "two"]
    nowhere = graphflow(folder, "run", "g.py:talk", "two", "--conversation", "anna")
    assert nowhere.returncode == 2
    assert "--conversation anna: this run is kept nowhere" in nowhere.stderr


# -- on a terminal ---------------------------------------------------------------------------------
def test_an_answer_is_seen_while_it_is_said_and_ctrl_c_stops_it_and_not_the_chat(
    folder: Path,
) -> None:
    with on_a_terminal(folder, "chat", "g.py:talk", *KEPT) as terminal:
        at = says(terminal, (PROMPT, "slowly"))
        at = terminal.wait_for("One", at)
        assert " of " not in terminal.text[at:]
        terminal.interrupt()
        at = terminal.wait_for("stopped; the conversation is as it was", at)
        at = terminal.wait_for("> ", at)
        (folder / "go").touch()
        terminal.type("slowly\n")
        at = terminal.wait_for("One of 1", at)
        at = terminal.wait_for("> ", at)
        terminal.wait_until_it_waits()
        terminal.interrupt()
        at = terminal.wait_for("Ctrl-D or /quit ends the chat", at)
        assert leave(terminal, at) == 0, terminal.text
    assert terminal.text.count("One of 1") == 1
    assert "--conversation anna" in terminal.text
    assert numbers(folder) == ["slowly"]


def test_an_error_ends_only_the_answer(folder: Path) -> None:
    with on_a_terminal(folder, "chat", "g.py:modelless", *KEPT) as terminal:
        says(
            terminal,
            (PROMPT, "fail"),
            ("as you asked", "/foo"),
            ("/foo is not a command", "fine"),
            ("FINE", "/quit"),
        )
        assert terminal.end() == 0, terminal.text
    assert numbers(folder, "g.py:modelless") == ["fine"]


def test_going_on_shows_the_last_exchanges(folder: Path) -> None:
    graphflow(folder, "chat", "g.py:talk", *KEPT, typed="a\nb\nc\nd\ne\n")
    with on_a_terminal(folder, "chat", "g.py:talk", *KEPT) as terminal:
        at = terminal.wait_for("2 exchanges before these; /history shows all")
        at = terminal.wait_for("3 > c", at)
        terminal.wait_for("5 > e", at)
        terminal.wait_for(PROMPT, at)
        terminal.type("f\n")
        at = terminal.wait_for("One of 11", at)
        assert leave(terminal, at) == 0
    assert "1 > a" not in terminal.text


def test_questions_are_asked_in_place(folder: Path) -> None:
    with on_a_terminal(folder, "chat", "g.py:letters", *KEPT) as terminal:
        at = says(
            terminal,
            (PROMPT, "Anna"),
            ("answer (text):", "Dear Anna!"),
            (ANSWERED, "Bert"),
        )
        at = terminal.wait_for("answer (text):", at)
        terminal.interrupt()
        at = terminal.wait_for("stopped; the conversation is as it was", at)
        terminal.wait_for("> ", at)
        terminal.type("Carl\n")
        terminal.wait_for('"Dear Carl"', at)
        terminal.wait_for("answer (text):", at)
        terminal.type("\x04")
        assert terminal.end() == 4, terminal.text
    with on_a_terminal(folder, "chat", "g.py:letters", *KEPT) as terminal:
        at = terminal.wait_for("goes on, which answers: Carl")
        terminal.wait_for("answer (text):", at)
        terminal.type("Dear Carl!\n")
        at = terminal.wait_for(ANSWERED, at)
        assert leave(terminal, at) == 0, terminal.text
    assert numbers(folder, "g.py:letters") == ["Anna", "Carl"]


@pytest.mark.parametrize(("answer", "outcome"), [("y", "paid Anna"), ("n", "was not given")])
def test_approvals_are_asked_in_place(folder: Path, answer: str, outcome: str) -> None:
    with on_a_terminal(folder, "chat", "g.py:payer", "--model", "mock:echo") as terminal:
        says(
            terminal,
            (PROMPT, '//tool pay {"to": "Anna"}'),
            ("Allow it? [y/N/a(lways)/e(dit)]", answer),
            (outcome, "/quit"),
        )
        assert terminal.end() == 0, terminal.text
    assert "may the tool 'pay' be called (in payer)? It writes." in terminal.text


def test_only_what_becomes_the_answer_is_shown(folder: Path) -> None:
    with on_a_terminal(folder, "chat", "g.py:loud", "--model", "mock:echo") as terminal:
        at = says(terminal, (PROMPT, "hello there"))
        at = terminal.wait_for("HELLO THERE", at)
        # Typed it stands there once, and as a draft not at all.
        assert terminal.text.count("hello there") == 1
        assert leave(terminal, at) == 0


def test_an_agent_within_is_heard_once(folder: Path) -> None:
    with on_a_terminal(folder, "chat", "g.py:outer", "--model", "mock:echo") as terminal:
        at = says(terminal, (PROMPT, "hello there"))
        at = terminal.wait_for("hello there", at)
        at = terminal.wait_for("hello there", at)
        assert leave(terminal, at) == 0
    assert terminal.text.count("hello there") == 2


def test_what_a_terminal_would_obey_is_shown(folder: Path) -> None:
    with on_a_terminal(folder, "chat", "g.py:rude") as terminal:
        at = says(terminal, (PROMPT, "x"))
        at = terminal.wait_for("a\\x1b[2Jb\r\nc", at)
        assert leave(terminal, at) == 0


@pytest.mark.parametrize("typed", ["", "slowly\n"])
def test_sigterm_ends_the_chat(folder: Path, typed: str) -> None:
    with on_a_terminal(folder, "chat", "g.py:talk", *KEPT) as terminal:
        at = terminal.wait_for(PROMPT)
        terminal.type(typed)
        if typed:
            terminal.wait_for("One", at)
        terminal.wait_until_it_waits()
        os.kill(terminal.process.pid, signal.SIGTERM)
        assert terminal.end() == 143, terminal.text
    assert numbers(folder) == []


def test_who_finds_the_conversation_busy_waits_and_is_told(folder: Path) -> None:
    other = programs.start(
        "-m", "graphflow", "chat", "g.py:talk", *KEPT,
        cwd=folder, stdin=PIPE, stdout=PIPE, text=True,
    )  # fmt: skip
    with other, on_a_terminal(folder, "chat", "g.py:talk", *KEPT) as terminal:
        assert other.stdin is not None
        at = terminal.wait_for(PROMPT)
        other.stdin.write("slowly\n")
        other.stdin.flush()
        until((folder / "asked").exists)
        terminal.type("me too\n")
        at = terminal.wait_for("is at this conversation; your message waits", at)
        (folder / "go").touch()
        at = terminal.wait_for("One of 3", at)
        assert leave(terminal, at) == 0
        out, _ = other.communicate("")
        assert (other.returncode, out) == (0, "One of 1\n")
    assert numbers(folder) == ["slowly", "me too"]
