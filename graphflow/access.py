"""Access: which of the arguments of a call are paths of files, and which are hosts, as a tool declares it.

    @tool(effects=["reads"], paths=["source"])          an argument is a path, or a list of paths
    @tool(effects=["network"], hosts=["url"])           an argument is an address, a host, or a list of these
    @tool(effects=["writes"], paths=lambda a: [...])    or a function of the arguments says what they come to
    @tool(effects=["reads"], paths=[])                  it touches no files: it reads a database, say

Rules:
1. A path is judged by where it leads: `..` and links are followed first, and what is relative is so to the working folder.
2. A host is judged by its name. What is not a name (an IP address in whatever spelling, `localhost`) fits only a pattern that is
   that very text: `*` stands for names.
3. What cannot be read as a path or a host is nowhere, and so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

NamedArguments: TypeAlias = Sequence[str] | Callable[[Any], Iterable[str | PurePath]]
"""Names of arguments, or a function of all of them."""
_NUMERIC = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+)){0,3}")
"""Numbers that a name server is never asked about: `2130706433` and `0x7f.1` are addresses, too."""
_ODD = re.compile(r"[\x00-\x20\x7f\\@]")
"""What some readers of addresses take for the end of a host, and others do not."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a tool says of the files and hosts that its calls reach.

    Attributes:
        paths: which arguments are paths; None = nobody has said.
        hosts: which arguments are hosts; None = nobody has said.
    """

    paths: NamedArguments | None = None
    hosts: NamedArguments | None = None

    @property
    def of_none(self) -> Access:
        """The same of a tool that does nothing to the world: it reaches nothing, unless it says so."""
        return Access(self.paths or (), self.hosts or ())

    def paths_in(self, arguments: object) -> tuple[str, ...]:
        """The paths that a call reaches."""
        return _texts_of(self.paths, arguments)

    def hosts_in(self, arguments: object) -> tuple[str, ...]:
        """The hosts that a call reaches, as they stand in its arguments."""
        return _texts_of(self.hosts, arguments)


@dataclass(frozen=True, slots=True)
class FixedTexts:
    """Says for all arguments that they come to the same: a value, as nodes are, where a function would be another one each time."""

    texts: tuple[str, ...]

    def __call__(self, arguments: object) -> tuple[str, ...]:
        return self.texts


NO_ACCESS = Access()
"""Nobody has said anything."""


TOUCHING_FILES = frozenset({"reads", "writes", "executes"})
"""Effects of what may reach files."""
CHANGING_FILES = frozenset({"writes", "executes"})
REACHING_HOSTS = frozenset({"network", "executes"})
"""Effects of what may reach other machines."""
ANY_EFFECTS = TOUCHING_FILES | REACHING_HOSTS


@dataclass(frozen=True, slots=True)
class AccessRules:
    """What a policy says of files and hosts. None = nothing.

    Attributes:
        paths: folders that files have to lie in.
        write_paths: the same for what changes files.
        hosts: patterns of hosts.
    """

    paths: Sequence[str] | None = None
    write_paths: Sequence[str] | None = None
    hosts: Sequence[str] | None = None

    def unsaid(self, name: str, effects: frozenset[str], access: Access) -> str | None:
        """Why a tool is refused that reaches files or hosts and does not say which, or None."""
        # Of whom nobody has said what it does, nobody knows that it does not.
        known = effects or ANY_EFFECTS
        # Whoever writes the tool reads it, and whoever wonders why a model is not offered it.
        silent = f"{name!r} does not declare which"
        if access.paths is None and self._limits_files(known):
            return f"{silent} files it reaches; its `paths=` would, or paths=[] for none"
        if access.hosts is None and self._limits_hosts(known):
            return f"{silent} hosts it reaches; its `hosts=` would, or hosts=[] for none"
        return None

    def _limits_files(self, effects: frozenset[str]) -> bool:
        """Whether there is something to hold in the files of a tool with these effects."""
        if self.paths is not None:
            return bool(effects & TOUCHING_FILES)
        if self.write_paths is None:
            return False
        return bool(effects & CHANGING_FILES)

    def _limits_hosts(self, effects: frozenset[str]) -> bool:
        """The same for its hosts."""
        if self.hosts is None:
            return False
        return bool(effects & REACHING_HOSTS)

    def refuses(self, access: Access, effects: frozenset[str], arguments: object) -> str | None:
        """Why a call is refused for what its arguments reach, or None."""
        if self == NO_RULES:
            return None
        # What runs programs, and of what nobody has said what it does, may change what it reaches.
        changes = not effects or bool(effects & CHANGING_FILES)
        for path in access.paths_in(arguments):
            why = self.refuses_path(path, changes=changes)
            if why is not None:
                return why
        for address in access.hosts_in(arguments):
            why = self.refuses_host(address)
            if why is not None:
                return why
        return None

    def refuses_path(self, path: str, *, changes: bool) -> str | None:
        """Why a file may not be reached, or changed; None if it may."""
        folders = self.paths
        if changes and self.write_paths is not None:
            folders = self.write_paths
        if folders is None:
            return None
        if is_within(path, folders):
            return None
        listed = _listed(folders)
        return f"{path!r} lies outside of {listed}, where the policy allows files"

    def refuses_host(self, address: str) -> str | None:
        """Why a host may not be reached, or None."""
        if self.hosts is None:
            return None
        host = host_in(address)
        if fits_host(host, self.hosts):
            return None
        listed = _listed(self.hosts)
        return f"the policy allows {listed} as hosts, and {address!r} is none of them"


NO_RULES = AccessRules()


def _listed(texts: Sequence[str]) -> str:
    shown = ", ".join(map(repr, texts))
    return shown or "nothing"


def _texts_of(named: NamedArguments | None, arguments: object) -> tuple[str, ...]:
    if named is None:
        return ()
    found: list[str] = []
    # What it gives may be paths that it has put together itself.
    if callable(named):
        for each in named(arguments):
            found.append(str(each))
        return tuple(found)
    for name in named:
        # On an arrow the arguments may come as plain data.
        if isinstance(arguments, Mapping):
            value = arguments.get(name)
        else:
            value = getattr(arguments, name, None)
        found += _texts_in(value)
    return tuple(found)


def _texts_in(value: object) -> list[str]:
    """The texts of one argument; an optional one that is left out has none."""
    if value is None:
        return []
    if isinstance(value, (list, tuple, set, frozenset)):
        found: list[str] = []
        for each in value:
            found += _texts_in(each)
        return found
    return [str(value)]


def is_within(path: str, folders: Iterable[str]) -> bool:
    """Whether a path leads to one of some folders, or to what lies in it."""
    try:
        real = _real(path)
        roots = [_real(folder) for folder in folders]
    # A null character, a circle of links, a user whom nobody knows.
    except (OSError, ValueError, RuntimeError):
        return False
    return any(root == real or root in real.parents for root in roots)


def _real(path: str) -> Path:
    written = Path(path)
    return written.expanduser().resolve()


def host_in(text: str) -> str:
    """The host of an address, or of `host:port`; "" where there is none, or readers may not agree on it."""
    address = text.strip()
    if _ODD.search(address):
        return ""
    # A name alone would be taken for a path.
    if "//" not in address:
        address = f"//{address}"
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    return host.rstrip(".")


def fits_host(host: str, patterns: Iterable[str]) -> bool:
    """Whether a host is one of those that patterns stand for."""
    if not host:
        return False
    # Names of hosts are the same in whatever case; `hostname` of an address is small already.
    known = [pattern.lower() for pattern in patterns]
    if is_no_name(host):
        return host in known
    return any(fnmatchcase(host, pattern) for pattern in known)


def is_no_name(host: str) -> bool:
    """Whether a host is an address, or this machine."""
    if ":" in host or host == "localhost" or host.endswith(".localhost"):
        return True
    return _NUMERIC.fullmatch(host) is not None
