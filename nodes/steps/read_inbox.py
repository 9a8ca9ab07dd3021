"""Reads the inbox: a .csv or .txt file, or one message."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from graphflow import node
from graphflow.errors import FileUnreadable
from graphflow.security import Untrusted

from ..messages import Inbox, Mail

SHIPPED = Path(__file__).resolve().parents[2] / "graphs" / "shop"


@node
def read_inbox(inbox: Inbox) -> Untrusted[list[Mail]]:
    """The messages of a file, or the one message that was given."""
    shop = Path(inbox.shop) if inbox.shop else SHIPPED
    if not shop.is_dir():
        raise FileUnreadable(
            f"the shop folder {inbox.shop} does not exist; name one that holds orders.csv, prices.csv and docs/"
        )
    # A path or a message: a message of several lines, or that ends in no .csv or .txt, is one.
    source = inbox.source.strip() or str(shop / "inbox.csv")
    is_path = "\n" not in source
    if is_path and len(source) < 1000 and Path(source).is_dir():
        raise FileUnreadable(
            f"{source} is a folder; give a .csv or .txt file, or one message. A shop's folder goes into --set shop={source}"
        )
    is_file = is_path and Path(source).suffix.lower() in (".csv", ".txt")
    rows = read_rows(Path(source)) if is_file else [("you", source)]
    mails: list[Mail] = []
    for number, (sender, text) in enumerate(rows, 1):
        mails.append(Mail(number=number, sender=sender, text=text, shop=str(shop)))
    return mails


def read_rows(path: Path) -> list[tuple[str, str]]:
    """Sender and text of each message in a file: columns `from` and `message` of a .csv, or lines of a .txt."""
    text = _text(path)
    if path.suffix.lower() == ".txt":
        rows = [("", line) for line in text.splitlines()]
    else:
        rows = _table(path, text)
    messages: list[tuple[str, str]] = []
    for sender, message in rows:
        words = message.strip()
        if words:
            messages.append((sender.strip(), words))
    if not messages:
        raise FileUnreadable(
            f"{path} holds no messages; put one in each line (.txt) or row (.csv, column 'message')"
        )
    return messages


def _text(path: Path) -> str:
    not_a_text = f"{path} is not a text file; give a .csv with a column 'message', or a .txt with a message a line"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileUnreadable(
            f"there is no file {path}; give a .csv or .txt file, or one message in quotes"
        ) from None
    except UnicodeDecodeError:
        raise FileUnreadable(not_a_text) from None
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise FileUnreadable(not_a_text)
    return text


def _table(path: Path, text: str) -> list[tuple[str, str]]:
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or ()
    if text.strip() and "message" not in columns:
        names = ", ".join(columns) or "none"
        raise FileUnreadable(f"{path} has no column 'message'; its columns are: {names}")
    return [(row.get("from") or "", row["message"] or "") for row in reader]
