"""The environment of a command-line tool: what such a program needs, and what is its own. Everything else stays here.

A tool is somebody else's program, and this process's environment holds the keys of everything it talks to: the database,
the other providers, the cloud.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

COMMON = (
    # where programs and temporary files are
    "PATH",
    "TMPDIR",
    "TMP",
    "TEMP",
    # who the user is, and where their files are
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "XDG_*",
    # how the user reads
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    # how the network is reached
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    # what programs on Windows do not start without
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "USERPROFILE",
    "USERNAME",
    "HOMEDRIVE",
    "HOMEPATH",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PROGRAMFILES",
)
"""What every program needs to find its files, speak the user's language and reach the network."""


def environment_for(
    own: Sequence[str], more: Sequence[str], variables: Mapping[str, str]
) -> dict[str, str]:
    """The variables that a tool is given.

    Args:
        own: names of the tool's own variables, as patterns.
        more: names that the user passes on.
        variables: values that stand above those of the environment.
    """
    patterns = (*COMMON, *own, *more)
    environment: dict[str, str] = {}
    for name, value in os.environ.items():
        if _fits(name, patterns):
            environment[name] = value
    environment.update(variables)
    return environment


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
