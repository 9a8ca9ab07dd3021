"""Files below one folder, and nothing else.

Rules:
1. A path is walked name by name from a descriptor of the root, each opened relative to the last with O_NOFOLLOW: neither
   `..` nor a link leads out, and nobody can swap a folder for a link between a check and its use.
2. Only regular files are read or replaced. A FIFO, socket or device is refused before it is opened, as opening one may
   block or do something.
3. Hidden names are out of reach unless asked for; `.git` always is, as a hook written there would be run.

A hard link to a file elsewhere is that file; nothing tells one from the other.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphflow import ToolError
from graphflow.errors import DeclarationError

MAX_DEPTH = 64
"""Folders below each other that are looked into; each keeps a descriptor open meanwhile."""


def _flag(name: str) -> int:
    """A flag for opening files; 0 on a system that has no such flag."""
    flag: int = getattr(os, name, 0)
    return flag


_OWN = _flag("O_NOFOLLOW") | _flag("O_CLOEXEC")
"""No link is followed, and no program that is started gets the descriptor."""
FOLDER = os.O_RDONLY | _flag("O_DIRECTORY") | _OWN
# Without O_NONBLOCK, opening a FIFO that took the place of a file in this moment would wait for a writer.
FILE = os.O_RDONLY | _flag("O_NONBLOCK") | _OWN
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flag("O_NOFOLLOW")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a folder: its path below the root, what it is ("file", "folder", "link", "other"), and its bytes."""

    path: str
    kind: str
    size: int


class Root:
    """The files below one folder."""

    def __init__(self, root: str | Path, *, hidden: bool = False) -> None:
        self.root = os.path.realpath(root)
        self.hidden = hidden
        if not os.path.isdir(self.root):
            raise DeclarationError(f"{str(root)!r} is not a folder; make it first, or name another")
        if os.open not in os.supports_dir_fd or os.scandir not in os.supports_fd:
            raise DeclarationError(
                "this system cannot open files relative to a folder, so none can be kept below one"
            )

    def reached(self, arguments: object) -> list[str]:
        """The paths that the arguments of a tool reach, for policies."""
        given = [getattr(arguments, name, None) for name in ("path", "folder")]
        return [os.path.join(self.root, path) for path in given if path is not None]

    def parts(self, path: str) -> tuple[str, ...]:
        """The names of a path below the root.

        Raises:
            ToolError: it leads out, or names what is out of reach.
        """
        if "\0" in path:
            raise ToolError(f"the path {path!r} has a NUL in it; write it without")
        if any("\ud800" <= char <= "\udfff" for char in path):
            raise ToolError(
                f"{path!a} has half a character in it; such names are listed and cannot be opened"
            )
        names: list[str] = []
        for name in self._below(path).split("/"):
            if name in ("", "."):
                continue
            if name == "..":
                raise ToolError(f"{path!r} goes upwards; give a path below the root, without '..'")
            if not self.shows(name):
                raise ToolError(
                    f"{path!r} is hidden, and hidden files are out of reach; choose another"
                )
            names.append(name)
        return tuple(names)

    def _below(self, path: str) -> str:
        """A path without the root in front of it: models give both."""
        if not path.startswith("/"):
            return path
        root = self.root.rstrip("/")
        if path != self.root and not path.startswith(f"{root}/"):
            raise ToolError(
                f"{path!r} is outside of {self.root!r}; give a path relative to that folder"
            )
        return path[len(self.root) :]

    def shows(self, name: str) -> bool:
        """Whether a file or folder of that name is in reach."""
        if name.casefold() == ".git":  # never: what stands in its hooks and settings is run
            return False
        return self.hidden or not name.startswith(".")

    @contextlib.contextmanager
    def folder(
        self, parts: tuple[str, ...], name: str = "", *, make: bool = False
    ) -> Iterator[int]:
        """A descriptor of a folder below the root, with its missing folders made if asked for.

        What the system says of what is done with `name` in it meanwhile becomes a `ToolError`, too.
        """
        path = "."
        try:
            current = os.open(self.root, FOLDER)
        except OSError as error:
            raise ToolError(
                f"the root folder {self.root!r} cannot be opened: {error.strerror}"
            ) from None
        try:
            # Step by step, each folder relative to the one before (rule 1).
            for place, part in enumerate(parts, 1):
                path = "/".join(parts[:place])
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=current)
                below = os.open(part, FOLDER, dir_fd=current)
                os.close(current)
                current = below
            path = "/".join((*parts, name)) or "."
            yield current
        except OSError as error:
            raise ToolError(_problem(path, error)) from None
        finally:
            os.close(current)

    def read(self, path: str, most: int) -> bytes:
        """A file's bytes.

        Raises:
            ToolError: it is not there, no regular file, or larger than `most` bytes.
        """
        *above, name = self.parts(path) or ("",)
        if not name:
            raise ToolError(f"{path!r} is the root folder; list_files shows what is in it")
        with self.folder(tuple(above), name) as folder:
            # Twice: before it is opened (rule 2), and once it is open, as another may stand there by then.
            _check_regular(os.stat(name, dir_fd=folder, follow_symlinks=False), path)
            with os.fdopen(os.open(name, FILE, dir_fd=folder), "rb") as file:
                _check_regular(os.fstat(file.fileno()), path)
                content = file.read(most + 1)
        if len(content) > most:
            raise ToolError(
                f"{path!r} has more than {most} bytes, the most that is read; take a smaller file"
            )
        return content

    def write(self, path: str, content: bytes) -> None:
        """Replaces a file in one step, or makes it: readers see the old content or the new, never a part. Its mode stays.

        Raises:
            ToolError: something else than a regular file is there, or it cannot be written.
        """
        *above, name = self.parts(path) or ("",)
        if not name:
            raise ToolError(f"{path!r} is the root folder; name a file in it")
        with self.folder(tuple(above), name, make=True) as folder:
            mode = None
            with contextlib.suppress(FileNotFoundError):
                old = os.stat(name, dir_fd=folder, follow_symlinks=False)
                _check_regular(old, path)
                mode = stat.S_IMODE(old.st_mode)
            _replace(folder, name, content, mode)

    def entries(self, path: str, *, recursive: bool) -> Iterator[Entry]:
        """What is in a folder, by name; with `recursive`, in its folders, too. Links are not followed. A file is itself."""
        parts = self.parts(path)
        whole = "/".join(parts)
        if parts:
            *around, name = parts
            with self.folder(tuple(around), name) as above:
                about = os.stat(name, dir_fd=above, follow_symlinks=False)
            kind = _kind(about)
            if kind != "folder":
                yield Entry(whole, kind, about.st_size)
                return
        with self.folder(parts) as folder:
            yield from self._entries(folder, whole, recursive, MAX_DEPTH)

    def _entries(self, folder: int, above: str, recursive: bool, depth: int) -> Iterator[Entry]:
        with os.scandir(folder) as found:
            items = [item for item in found if self.shows(item.name)]
        for item in sorted(items, key=lambda item: item.name):
            path = f"{above}/{item.name}" if above else item.name
            try:
                about = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            kind = _kind(about)
            yield Entry(path, kind, about.st_size)
            if not recursive or kind != "folder" or depth <= 1:
                continue
            try:
                below = os.open(item.name, FOLDER, dir_fd=folder)
            except OSError:  # not allowed to look into it, or it is another thing by now
                continue
            try:
                yield from self._entries(below, path, recursive, depth - 1)
            finally:
                os.close(below)


def _replace(folder: int, name: str, content: bytes, mode: int | None) -> None:
    """Writes a file beside the one it takes the place of, as only a rename happens in one step."""
    aside = f".{secrets.token_hex(8)}.part"
    made = os.open(aside, NEW_FILE, 0o666, dir_fd=folder)
    try:
        with os.fdopen(made, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=folder)
        raise


KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


def _kind(about: os.stat_result) -> str:
    return KINDS.get(stat.S_IFMT(about.st_mode), "other")


def _check_regular(about: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise ToolError(f"{path!r} is a folder; name a file")
    if stat.S_ISLNK(about.st_mode):
        raise ToolError(f"{path!r} is a link, and links are not followed; name the file itself")
    if not stat.S_ISREG(about.st_mode):
        raise ToolError(f"{path!r} is a pipe, socket or device, not a file; name a file")


def _problem(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"there is no {path!r}; list_files shows what is there"
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return f"{path!r} is not a folder (a file, or a link, and links are not followed); list_files shows what is there"
    return f"{path!r}: {error.strerror}; choose another path"
