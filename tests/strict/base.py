"""What all dialects share: requests, replies, refusals, and made-up ids that are the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from tests.strict.script import Answer, Json, Kind

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
CREATED = 1767323045  # 2026-01-02 03:04:05 UTC


@dataclass(slots=True)
class Request:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes = b""
    json: Any = None
    keep_alive: bool = True
    refusal: str = ""
    """Why it was refused, or nothing."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@dataclass(slots=True)
class Reply:
    """One reply: a stream of parts, or a body."""

    status: int
    content_type: str
    parts: Iterable[bytes]
    headers: dict[str, str] = field(default_factory=dict)
    stream: bool = False


class Refused(Exception):
    """A request that the vendor's API would not take.

    Attributes:
        rule: short name of the rule that was broken; tests look for it.
        message: the vendor's words.
        kind: the vendor-neutral kind, which picks status and shape of the error.
        param: the vendor's name of the place, where it has one.
        code: the vendor's code, where it has one.
        status: overrides the status of the kind.
        body: overrides the whole error body.
    """

    def __init__(
        self,
        rule: str,
        message: str,
        *,
        kind: Kind = "invalid_request",
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        body: Json | None = None,
    ) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule, self.message, self.kind = rule, message, kind
        self.param, self.code, self.status, self.body = param, code, status, body


@dataclass(slots=True)
class Issued:
    """What a server remembers of a call that it made up."""

    name: str
    thinking: bool = False
    reasoning: str = ""
    """Id of the reasoning item that came before it."""
    sealed: bool = False
    """The reasoning item carried its encrypted content."""


@dataclass(slots=True)
class Memory:
    """What a server remembers between requests."""

    answers: int = 0
    calls: dict[str, Issued] = field(default_factory=dict)
    """By call id."""
    sealed: dict[str, str] = field(default_factory=dict)
    """Encrypted content by id of the reasoning item."""
    stored: dict[str, list[Json]] = field(default_factory=dict)
    """Whole conversation by response id."""


@dataclass(frozen=True, slots=True)
class Events:
    """A stream in three parts, so that it can break in the middle."""

    head: list[bytes]
    deltas: list[bytes]
    tail: list[bytes]
    error: list[bytes]

    def parts(self, *, broken: bool) -> list[bytes]:
        if not broken:
            return self.head + self.deltas + self.tail
        return self.head + self.deltas[: (len(self.deltas) + 1) // 2] + self.error


class Dialect(ABC):
    """One vendor's API."""

    name: ClassVar[str]
    key: str | None
    """The key that is asked for; None where none is."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    @abstractmethod
    def authorize(self, request: Request) -> None:
        """Refuses a request without the right key header."""

    @abstractmethod
    def route(self, request: Request) -> None:
        """Refuses a path that is not there."""

    @abstractmethod
    def check(self, request: Request, memory: Memory) -> None:
        """Refuses a body that the API would not take."""

    @abstractmethod
    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        """The answer in this dialect."""

    @abstractmethod
    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        """An error in this dialect."""

    def bearer(self, request: Request) -> str:
        """The token of the Authorization header."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


def is_json(request: Request) -> bool:
    return (
        request.headers.get("content-type", "").partition(";")[0].strip().lower()
        == "application/json"
    )


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pretty(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def sse(value: Any, event: str = "") -> bytes:
    """One server-sent event with a compact JSON payload."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {compact(value)}\n\n".encode()


def made_up(seed: str, length: int, alphabet: str = BASE62) -> str:
    """An id-like word of the wanted length, the same for the same seed."""
    out = ""
    turn = 0
    while len(out) < length:
        digest = hashlib.sha256(f"{seed}/{turn}".encode()).digest()
        out += "".join(alphabet[byte % len(alphabet)] for byte in digest)
        turn += 1
    return out[:length]


def signature(what: str, length: int = 96) -> str:
    """A signature in standard base64 that anyone holding `what` can check."""
    raw = b""
    while len(raw) < length:
        raw += hashlib.sha256(f"strict/{len(raw)}/{what}".encode()).digest()
    return base64.b64encode(b"\x12" + raw[: length - 1]).decode()


def uuid(seed: str) -> str:
    word = made_up(seed, 32, "0123456789abcdef")
    return f"{word[:8]}-{word[8:12]}-{word[12:16]}-{word[16:20]}-{word[20:]}"


def number(value: Any) -> bool:
    """True for a JSON number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def unknown(value: Mapping[str, Any], allowed: Iterable[str]) -> list[str]:
    """Keys that are not allowed."""
    return [key for key in value if key not in set(allowed)]


def kind_of(value: Any) -> str:
    """The JSON type's name with its article, as OpenAI says it."""
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
    }
    return names.get(type(value), "an object")


def parse_arguments(text: Any) -> Json | None:
    """Arguments that are a JSON object as text, or None."""
    if not isinstance(text, str):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
