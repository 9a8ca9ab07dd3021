"""What an allowed program would run beside itself: what it finds in its folder, and what its options name.

A folder that a model may write (`files(write=True)`) is input of every program that runs in it. Some take more from it than
data: git takes any folder with a `HEAD`, `objects`, `refs` and `config` in it for a repository, and a repository's `config`
names programs (`core.fsmonitor`, hooks) that even `git status` runs. Names that begin with a point, and so `.git`, are out
of reach of those tools; names like these are not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

SETTINGS = {
    "safe.bareRepository": "explicit",  # a folder that only looks like a repository is none
    # Nor is this program run by a git that is older than the line above (2.38)
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,  # hooks may lie among the files, where a model writes them
}
"""Settings of git that stand above those of any file."""
GIT = {
    "GIT_CONFIG_COUNT": str(len(SETTINGS)),
    **{f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(SETTINGS)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(SETTINGS.values())},
    "GIT_PAGER": "cat",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_TERMINAL_PROMPT": "0",
}

LONG = (
    *(
        "--output",
        "--open-files-in-pager",
        "--ext-diff",
        "--textconv",
        "--extcmd",
        "--exec",
        "--exec-path",
    ),
    *(
        "--upload-pack",
        "--receive-pack",
        "--template",
        "--config",
        "--config-env",
        "--git-dir",
        "--work-tree",
    ),
)
"""Options of git that run a program, write a file of any name (`.git/config`), or name another repository."""
HARMLESS = frozenset(["--text"])
"""Options of their own that are spelled like the beginning of one of those; git takes beginnings for the whole."""
SHORT = {"grep": "O", "clone": "cu", "rebase": "x", "difftool": "x", "archive": "o"}
"""The short forms, by command: elsewhere the same letters are harmless."""


def environment(beginning: Sequence[str]) -> dict[str, str]:
    """Variables that keep a program from running what lies in its folder."""
    name = os.path.basename(beginning[0])
    if name == "git":
        return dict(GIT)
    if name.startswith("python") and "-m" in beginning:
        # The module that is installed, not one of that name in the folder.
        return {"PYTHONSAFEPATH": "1"}
    return {}


def runs_more(beginning: Sequence[str], command: Sequence[str]) -> str:
    """The argument that makes an allowed command of git run or write something else; "" where there is none.

    Whoever allows all of git allows that, too: then nothing is judged.
    """
    if os.path.basename(beginning[0]) != "git" or len(beginning) < 2:
        return ""
    for argument in command[len(beginning) :]:
        if argument == "--":
            break
        if _is_long(argument) or _is_short(beginning[1], argument):
            return argument
    return ""


def _is_long(argument: str) -> bool:
    name = argument.partition("=")[0]
    if not name.startswith("--") or len(name) == 2 or name in HARMLESS:
        return False
    # git takes the beginning of an option for the whole: --outp is --output.
    return any(option.startswith(name) for option in LONG)


def _is_short(command: str, argument: str) -> bool:
    if not argument.startswith("-") or argument.startswith("--"):
        return False
    return any(letter in argument for letter in SHORT.get(command, ""))
