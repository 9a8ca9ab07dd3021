"""A guard of personal data, by patterns.

Rules:
1. A pattern is cheap and linear; what it finds is checked by what the number itself says (Luhn, mod 97), so that an order
   number is not taken for a card.
2. A pattern knows no names and no streets. It keeps numbers and addresses in, not people's stories.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from graphflow.declaration.guards import StreamJudge
from graphflow.errors import DeclarationError
from graphflow.security.text_guard import TextGuard

PersonalKind = Literal["email", "phone", "card", "iban", "ssn", "ip"]
KINDS: tuple[PersonalKind, ...] = get_args(PersonalKind)
REACH = 64
"""Characters that a number has at most, with what stands between its digits."""
LONGEST_ADDRESS = 64 + 1 + 8 * 64 + 24
"""Characters of an e-mail address at most, as its pattern goes."""
STRIDE = 16
"""Characters that come between two looks at what is being said."""


@dataclass(frozen=True)
class PersonalData(TextGuard):
    """Rejects messages with personal data in them.

    Attributes:
        kinds: what is looked for: "email"; "phone" (international, with `+` or `00`, or groups of digits with brackets or
            dashes); "card" (payment cards, by Luhn's check digit); "iban" (accounts, by ISO 13616's check digits);
            "ssn" (social security numbers of the USA); "ip" (addresses of IPv4). All of them, unless said otherwise.
    """

    kinds: tuple[PersonalKind, ...]
    name = "personal data"
    checks_content: ClassVar[bool] = False

    def __init__(self, *kinds: PersonalKind) -> None:
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            listed = ", ".join(KINDS)
            raise DeclarationError(f"PersonalData({unknown[0]!r}): it looks for {listed}")
        object.__setattr__(self, "kinds", kinds or KINDS)

    def judge(self, texts: Sequence[str]) -> str | None:
        found: dict[str, None] = {}
        for text in map(_as_typed, texts):
            for kind in self.kinds:
                if finds(kind, text, 0, len(text)):
                    found[_WORDS[kind]] = None
        return _reason(found)

    def stream(self) -> StreamJudge:
        return _PatternJudge(self.kinds)


def _reason(found: Iterable[str]) -> str | None:
    listed = ", ".join(found)
    return f"it holds {listed}" if listed else None


def _as_typed(text: str) -> str:
    """A text, character for character, with plain spaces and hyphens where it has those of a typesetter."""
    return text if text.isascii() else text.translate(_TYPESET)


def finds(kind: PersonalKind, text: str, start: int, end: int) -> bool:
    """Whether there is personal data of a kind in a text, that begins at or behind `start` and is over by `end`."""
    pattern = _PATTERNS[kind]
    is_real = _CHECKS.get(kind)
    match = pattern.search(text, start)
    while match is not None:
        if match.end() <= end and (is_real is None or is_real(match.group())):
            return True
        # From its second character on: a real one may begin within what only looked like one.
        match = pattern.search(text, match.start() + 1)
    return False


class _PatternJudge(StreamJudge):
    """Looks for patterns in a text that is still being said.

        told and judged | held back: may be the beginning of something | what decides of it
                        ^ safe                                         ^ decided       ^ end of what came

    Whatever begins before `safe` is over before `decided`: numbers are shorter than half of what is held, addresses have no
    space in them. And what is over before `decided` would not become another match by what comes.
    """

    __slots__ = ("_kinds", "_looked", "_start", "_window")

    def __init__(self, kinds: tuple[PersonalKind, ...]) -> None:
        super().__init__()
        self._kinds = kinds
        self._window = ""
        self._start = 0
        """Where in the window begins what is not told: what stands before it says whether a number begins there."""
        self._looked = 0

    def take(self, piece: str) -> str | None:
        self._window += _as_typed(piece)
        if len(self._window) - self._looked < STRIDE:
            return None
        self._looked = len(self._window)
        why = self._look(len(self._window) - REACH)
        if why is None:
            self._advance()
        return why

    def end(self) -> str | None:
        why = self._look(len(self._window))
        if why is None:
            self.safe += len(self._window) - self._start
        return why

    def _look(self, decided: int) -> str | None:
        found: dict[str, None] = {}
        for kind in self._kinds:
            if finds(kind, self._window, self._start, decided):
                found[_WORDS[kind]] = None
        return _reason(found)

    def _advance(self) -> None:
        """Lets go of what no pattern can begin in any more."""
        window = self._window
        edge = window.rfind(" ", self._start, max(self._start, len(window) - 2 * REACH)) + 1
        # Where no space has come for long: no address is as long.
        edge = max(edge, len(window) - LONGEST_ADDRESS - REACH)
        if edge <= self._start:
            return
        self.safe += edge - self._start
        dropped = max(0, edge - REACH)
        self._window = window[dropped:]
        self._start = edge - dropped
        self._looked -= dropped


_TYPESET = str.maketrans(
    {
        **dict.fromkeys(
            "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{FIGURE SPACE}\N{THIN SPACE}", " "
        ),
        **dict.fromkeys("\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}", "-"),
    }
)
"""What stands between the digits of a number that should not be broken at the end of a line."""

# Each quantifier is bounded and no two of them that meet take the same character, so a search is linear in the text.
_PATTERNS: Mapping[PersonalKind, re.Pattern[str]] = {
    "email": re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"),
    "phone": re.compile(
        r"(?<![\w+.,-])(?:(?:\+|00)[1-9]\d{0,2}[ ./-]?(?:\(\d{1,5}\)[ ./-]?)?\d{1,5}(?:[ ./-]?\d{1,5}){1,6}"
        r"|\(\d{2,5}\)[ ./-]?\d{2,5}(?:[ ./-]\d{2,5}){1,4}"
        r"|\d{3}[-.]\d{3}[-.]\d{4})(?!\w)"
    ),
    "card": re.compile(
        r"(?<![\w.-])\d{4}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?!\w)|(?<![\w.-])3\d{3}[ -]?\d{6}[ -]?\d{5}(?!\w)"
    ),
    "iban": re.compile(
        r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)", re.IGNORECASE
    ),
    "ssn": re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"),
    "ip": re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)"),
}
_WORDS: Mapping[PersonalKind, str] = {
    "email": "an e-mail address",
    "phone": "a telephone number",
    "card": "the number of a card",
    "iban": "the number of an account",
    "ssn": "a social security number",
    "ip": "an IP address",
}


def _is_card(text: str) -> bool:
    """Whether the digits of a text have the check digit of a card (ISO/IEC 7812-1, Luhn)."""
    digits = [int(letter) for letter in text if letter.isdecimal()]
    if not 13 <= len(digits) <= 19:
        return False
    total = 0
    # From the right: every second digit counts twice, and of what that makes, each digit.
    for place, digit in enumerate(reversed(digits)):
        if place % 2:
            digit = sum(divmod(digit * 2, 10))
        total += digit
    return total % 10 == 0 and any(digits)


def _is_iban(text: str) -> bool:
    """Whether a text has the check digits of an account (ISO 13616: the remainder by 97 is 1)."""
    letters = text.replace(" ", "").upper()
    if not 15 <= len(letters) <= 34:
        return False
    turned = letters[4:] + letters[:4]
    number = "".join(str(int(letter, 36)) for letter in turned)
    return int(number) % 97 == 1


def _is_phone(text: str) -> bool:
    """Whether a text has as many digits as a telephone number (ITU-T E.164: 15 at most)."""
    digits = sum(map(str.isdecimal, text))
    return 7 <= digits <= 15


def _is_ip(text: str) -> bool:
    return all(int(part) < 256 for part in text.split("."))


_CHECKS: Mapping[PersonalKind, Callable[[str], bool]] = {
    "phone": _is_phone,
    "card": _is_card,
    "iban": _is_iban,
    "ip": _is_ip,
}
"""What tells a real one from digits that only look like it."""
