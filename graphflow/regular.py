"""Files that are read whole: a pipe might never end, `/dev/zero` does not."""

from __future__ import annotations

import stat
from pathlib import Path

from graphflow.errors import FileUnreadable


def read_regular(path: str | Path, largest: int | None = None) -> str:
    """The text of a regular file, of so many bytes at most.

    Raises:
        FileUnreadable: it is missing, is something else, is too large, or is no UTF-8.
    """
    file = Path(path)
    odd = content = None
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            odd = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        else:
            with file.open("rb") as opened:
                content = opened.read(-1 if largest is None else largest + 1)
    except FileNotFoundError:
        raise FileUnreadable(f"there is no file {file}") from None
    except (OSError, ValueError) as error:
        raise FileUnreadable(f"{file} cannot be read: {error}") from None
    if content is None:
        raise FileUnreadable(f"{file} cannot be read: it is {odd}; give a file")
    if largest is not None and len(content) > largest:
        raise FileUnreadable(f"{file} cannot be read: it has more than {largest:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnreadable(f"{file} cannot be read: byte {error.start} is not UTF-8; save it as UTF-8") from None
