"""Programs that are forked do what they would do as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, TimeoutExpired

import pytest

from tests import leftovers, programs

PROGRAMS = {
    "says": "import sys; print('out'); print('err', file=sys.stderr)",
    "reads": "import sys; print(sys.stdin.read().upper(), sys.stdin.isatty())",
    "is told": "import sys; print(sys.argv, sys.path[0], __name__)",
    "ends": "import sys; sys.exit(3)",
    "complains": "import sys; sys.exit('so it is')",
    "fails": "1 / 0",
    "looks around": "import os; print(os.getcwd(), os.environ['COLOUR'], sorted(os.environ) == os.environ['NAMES'].split())",
    "cleans up": "import atexit; atexit.register(print, 'the end')",
    "has threads": "import threading; threading.Timer(0.01, print, ['late']).start()",
    "defines": "from pydantic import BaseModel\nclass Row(BaseModel):\n    other: 'Row | None' = None\nprint(Row(other=Row()))",
    "dies": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "writes bytes": "import sys; sys.stdout.buffer.write(bytes(range(256)))",
    "is interrupted": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_is_forked_does_what_one_that_is_started_does(
    name: str, tmp_path: Path
) -> None:
    words = ("-c", PROGRAMS[name], "a", "--b=c")
    around = {**os.environ, "COLOUR": "red"}
    around["NAMES"] = " ".join(sorted([*around, "NAMES"]))
    forked = programs.run(*words, cwd=tmp_path, env=around, input=b"hey")
    started = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path, env=around, input=b"hey", capture_output=True, check=False,
    )  # fmt: skip
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    # Of a traceback the last line: what is above it is of the interpreter.
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


def test_modules_of_a_folder_come_first(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("print('of the project')")
    (tmp_path / "mine.py").write_text("import tests, sys; print(sys.argv)")
    done = programs.run("-m", "mine", "x", cwd=tmp_path, text=True)
    assert done.stdout.splitlines() == ["of the project", str([str(tmp_path / "mine.py"), "x"])]
    away = programs.run(
        "-m",
        "mine",
        cwd=tmp_path.parent,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert away.returncode == 0, away.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nothing is forked elsewhere")
def test_what_is_forked_is_seen_as_long_as_it_runs() -> None:
    before = leftovers.started()
    with programs.start("-c", "input()", stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL) as program:
        assert leftovers.started() - before >= {program.pid}
        assert program.poll() is None
        with pytest.raises(TimeoutExpired):
            program.wait(0.01)
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == -signal.SIGTERM
        program.kill()  # it has ended: nothing is sent to whoever has its number now
    assert program.pid not in leftovers.started()
    assert programs.processes()


def test_another_variable_of_the_interpreter_is_for_a_process_of_its_own() -> None:
    done = programs.run(
        "-c", "import sys; print(sys.flags.optimize)", text=True,
        env={**os.environ, "PYTHONOPTIMIZE": "1"},
    )  # fmt: skip
    assert done.stdout == "1\n"
