r"""Secrets out of the text of a row, and back into it: what stands there is a reference to the secret's name.

    {"url": "https://x/?key=Xq7-Zr2-Kp9"}    hide      {"url": "https://x/?key=⟦b52.a:SHOP_API_KEY⟧"}
                                             reveal    {"url": "https://x/?key=Xq7-Zr2-Kp9"}

A reference holds, in this order:

    b52               the beginning of the secret's digest: a label may be of several secrets
    .a                the way in which it was written there: as it is, in an address, in JSON within JSON; in ASCII or not
    +4                where another secret lies over its beginning: that it begins with its fifth character
    ,u00              where the text before it ends within an escape: that, without its backslash
    SHOP_API_KEY      the label, as JSON

Rules:
1. Only what is known is hidden (`redaction.known_secrets`): neither words nor what only looks like a secret. What JSON, an
   address or Python would write for a secret is found as well, also by JSON within JSON; what a model spells backwards is not.
2. `reveal(hide(text)) == text`, for any JSON text. A `⟦` of the text's own is written `⟦⟧`, so nobody can write a reference.
3. What is hidden is still JSON. A number that holds a secret becomes a text, between two `⟦#⟧`.
4. A secret that has changed since is replaced by what it is now. One that is not known where it is revealed is shown as
   "[label]".
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias
from urllib.parse import quote

from graphflow.redaction import LabeledSecret, known_secrets
from graphflow.secrets.spellings import secret_lines

LEAD = "⟦"
END = "⟧"
LITERAL = "⟦⟧"
"""What stands for a `⟦` of the text's own."""
EDGE = "⟦#⟧"
"""What stands at both ends of a number that holds a secret."""
SHORTEST_DIGEST = 3
"""Hexadecimal digits of a digest, at least: few, so that they tell next to nothing about the secret."""
SHORTEST_CORE = 6
"""Letters and digits in a row, at least, that a secret is looked for by."""
MANY = 100
"""Secrets from which on they are looked for all at once."""

SpellingSpan: TypeAlias = tuple[int, int, str]
"""Where a spelling stands, from and to, and the spelling."""

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER = re.compile(r"[-+.0-9eE]+")
_RUN = re.compile(r"[A-Za-z0-9]{6,}")
DIGITS = frozenset("-+.0123456789eE")
LONGEST_ESCAPE = len(r"\u00e")
"""Characters of an escape that is not whole."""
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
"""The beginning of an escape at the end of a text, if the backslash is none that is escaped itself."""
_REFERENCE = re.compile(
    r"""⟦(?:
        (?P<digest>[0-9a-f]{3,64})
        (?P<form>[.a-z][0-9]*[a-z])
        (?:\+(?P<skip>[0-9]{1,9}))?
        (?:,(?P<escape>[u0-9a-fA-F]*))?
        :(?P<label>(?:[^⟦⟧"\\]|\\[bfnrt/\\]|\\u[0-9a-f]{4})*)
    )?⟧""",
    re.VERBOSE,
)
_HIDDEN_NUMBER = re.compile(r'"⟦\#⟧(?P<digits>[^"]*)⟦\#⟧"')


# -- how a secret is written -----------------------------------------------------------------------
def _in_text(secret: str) -> dict[str, str]:
    """The ways in which a text may hold a secret, by their signs."""
    quoted = _ascii_json(secret)
    ways = {
        ".": secret,
        "u": quote(secret, safe="", errors="replace"),
        "j": quoted,
        "n": _json(secret),
        "s": quoted.replace("/", r"\/"),
        "h": _html_safe(quoted),
        "p": repr(secret)[1:-1],
    }
    for number, line in enumerate(secret_lines(secret)):
        ways[f"l{number}"] = line
    return ways


@lru_cache(maxsize=4096)
def _spellings(secret: str) -> Mapping[str, str]:
    """The ways in which the JSON of a row may hold a secret, by their signs."""
    spellings: dict[str, str] = {}
    for sign, text in _in_text(secret).items():
        quoted = _ascii_json(text)
        spellings[sign + "a"] = quoted
        spellings[sign + "t"] = _json(text)
        spellings[sign + "s"] = quoted.replace("/", r"\/")
    return spellings


def _ascii_json(text: str) -> str:
    """A text as JSON writes it, without its quotation marks."""
    quoted = json.dumps(text)
    return quoted[1:-1]


def _json(text: str) -> str:
    """The same with every character as it is that may stand so."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted[1:-1]


def _html_safe(quoted: str) -> str:
    """As those write it who fear that somebody puts it into a page: Go, and not only there."""
    for character in "&<>":
        escape = f"\\u{ord(character):04x}"
        quoted = quoted.replace(character, escape)
    return quoted


@lru_cache(maxsize=4096)
def _digest(secret: str) -> str:
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _core_of(spelling: str, secret: str) -> str:
    """The longest run of letters and digits of a secret: no way of writing changes those."""
    runs: list[str] = _RUN.findall(secret)
    common = [run for run in runs if run in spelling]
    return max(common, key=len, default=spelling)


# -- what is known ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Reference:
    """What stands for a spelling."""

    secret: str
    label: str
    form: str


class _KnownSecrets:
    """What is looked for, and what can be put back."""

    def __init__(self, known: Sequence[LabeledSecret]) -> None:
        self.known = known
        self.by_label: dict[str, dict[str, None]] = {}  # sets that keep the order
        self.references: dict[str, _Reference] = {}
        self.by_core: dict[str, list[str]] = {}
        """The spellings by a part of them that is looked for first: it is the same in nearly all of a secret's."""
        for label, secret in known:
            self.by_label.setdefault(label, {})[secret] = None
            for form, spelling in _spellings(secret).items():
                reference = _Reference(secret, label, form)
                if self.references.setdefault(spelling, reference) is not reference:
                    continue  # another way of writing it, or the same secret under another label
                core = _core_of(spelling, secret)
                self.by_core.setdefault(core, []).append(spelling)
        self.starts: dict[str, list[str]] = {}
        """The cores by how they begin."""
        self.others: list[str] = []
        """Those that are more than letters and digits."""
        for core in self.by_core:
            if _RUN.fullmatch(core):
                start = core[:SHORTEST_CORE]
                self.starts.setdefault(start, []).append(core)
            else:
                self.others.append(core)

    def spellings_in(self, text: str) -> list[str]:
        """The spellings that a text holds."""
        cores: Iterable[str] = self.by_core
        if len(self.by_core) > MANY:
            cores = self._cores_near(text)
        found: list[str] = []
        for core in cores:
            if core in text:
                found += [spelling for spelling in self.by_core[core] if spelling in text]
        return found

    def _cores_near(self, text: str) -> list[str]:
        """The cores that a text may hold: those that begin as some piece of its words does."""
        cores = [*self.others]
        for start in self._starts_in(text):
            cores += self.starts[start]
        return cores

    def _starts_in(self, text: str) -> set[str]:
        found: set[str] = set()
        words = set(_RUN.findall(text))
        for word in words:
            for place in range(len(word) - SHORTEST_CORE + 1):
                start = word[place : place + SHORTEST_CORE]
                if start in self.starts:
                    found.add(start)
        return found

    def digest(self, reference: _Reference) -> str:
        """As much of a secret's digest as tells it from the others of its label."""
        whole = _digest(reference.secret)
        secrets = self.by_label[reference.label]
        others = [_digest(secret) for secret in secrets if secret != reference.secret]
        for length in range(SHORTEST_DIGEST, len(whole)):
            beginning = whole[:length]
            alike = [other for other in others if other.startswith(beginning)]
            if not alike:
                return beginning
        return whole

    def secret(self, label: str, digest: str) -> str | None:
        """The secret of a label and digest; where the label has but one, that one: it may have changed."""
        secrets = list(self.by_label.get(label, ()))
        # In the order in which they were passed in: what was hidden here was told from those that were there before.
        for secret in secrets:
            if _digest(secret).startswith(digest):
                return secret
        if len(secrets) == 1:
            return secrets[0]
        return None


_latest: list[_KnownSecrets] = []


def _current() -> _KnownSecrets:
    known = known_secrets()
    if not _latest or _latest[0].known is not known:
        _latest[:] = [_KnownSecrets(known)]
    return _latest[0]


# -- hiding ----------------------------------------------------------------------------------------
def hide(text: str) -> str:
    """The JSON text with references where secrets stand."""
    secrets = _current()
    found = secrets.spellings_in(text)
    if found:
        spans = _spans(text, found)
        return _Hiding(secrets, text).hidden(spans)
    # Nearly every row: there is no secret in it, and no reference that is the text's own.
    if LEAD not in text:
        return text
    return text.replace(LEAD, LITERAL)


def _spans(text: str, spellings: Sequence[str]) -> list[SpellingSpan]:
    """Where spellings stand, each time they do; spans may overlap. The longer come first where two begin together."""
    spans: list[SpellingSpan] = []
    for spelling in spellings:
        at = text.find(spelling)
        while at >= 0:
            end = at + len(spelling)
            spans.append((at, end, spelling))
            at = text.find(spelling, at + 1)
    spans.sort(key=_order)
    return spans


def _order(span: SpellingSpan) -> tuple[int, int]:
    start, end, _ = span
    return start, -end


class _Hiding:
    """One text, and as much of it as is hidden."""

    def __init__(self, secrets: _KnownSecrets, text: str) -> None:
        self.secrets = secrets
        self.text = text
        self.done = 0
        self.parts: list[str] = []
        strings = [match.span() for match in _STRING.finditer(text)]
        self.string_starts = [start for start, _ in strings]
        self.string_ends = [end for _, end in strings]
        self.number_end = 0
        self.rest: SpellingSpan | None = None
        """Of the spans that begin within what is hidden, the one that goes furthest beyond it."""

    def hidden(self, spans: Sequence[SpellingSpan]) -> str:
        """The text with references for all that lies in a span."""
        for span in spans:
            start, end, _ = span
            if start > self.done:  # none of them begins where that ends
                self._hide_rest()
            if start >= self.done:
                self._hide(span)
            elif end > self._rest_end():
                self.rest = span
        self._hide_rest()
        self._leave_number(len(self.text))
        self._copy(len(self.text))
        return "".join(self.parts)

    def _rest_end(self) -> int:
        if self.rest is None:
            return self.done
        _, end, _ = self.rest
        return max(self.done, end)

    def _hide_rest(self) -> None:
        """Hides what is left of a secret that another one lies over."""
        rest = self.rest
        self.rest = None
        if rest is None:
            return
        _, end, _ = rest
        if end > self.done:
            self._hide(rest)

    def _is_in_string(self, place: int) -> bool:
        begun = bisect_right(self.string_starts, place)
        if not begun:
            return False
        return place < self.string_ends[begun - 1]

    def _hide(self, span: SpellingSpan) -> None:
        start, end, spelling = span
        self._leave_number(start)
        is_number = _NUMBER.fullmatch(spelling) is not None
        if is_number and not self._is_in_string(start):
            self._enter_number(start)
        skip = max(0, self.done - start)
        # A reference begins where a character does: `\\n` may hold the first letter of what was found.
        escape = "" if skip else self._escape_before(start)
        begin = start - len(escape)
        self._copy(begin)
        reference = self.secrets.references[spelling]
        written = self._reference_text(reference, skip, escape)
        self.parts.append(written)
        self.done = end

    def _reference_text(self, reference: _Reference, skip: int, escape: str) -> str:
        sign = self.secrets.digest(reference)
        sign += reference.form
        if skip:
            sign += f"+{skip}"
        if escape:
            letters = escape.removeprefix("\\")
            sign += f",{letters}"
        label = _ascii_json(reference.label)
        label = label.replace('\\"', "\\u0022")
        return f"{LEAD}{sign}:{label}{END}"

    def _escape_before(self, place: int) -> str:
        """The part of an escape that stands before a place, if that is in the midst of one."""
        first = max(self.done, place - LONGEST_ESCAPE)
        before = self.text[first:place]
        match = _ESCAPE.search(before)
        if match is None:
            return ""
        backslash = first + match.start()
        if self._is_escaped(backslash):
            return ""
        return match[0]

    def _is_escaped(self, place: int) -> bool:
        """Whether an odd number of backslashes stands before a place."""
        first = place
        while first > 0 and self.text[first - 1] == "\\":
            first -= 1
        return (place - first) % 2 == 1

    def _copy(self, place: int) -> None:
        """Takes the text over as far as a place."""
        if place > self.done:
            piece = self.text[self.done : place]
            escaped = piece.replace(LEAD, LITERAL)
            self.parts.append(escaped)
            self.done = place

    def _enter_number(self, place: int) -> None:
        """Begins the text that a number becomes which holds a secret."""
        if place < self.number_end:
            return
        self._leave_number(place)
        first = place
        while first > self.done and self.text[first - 1] in DIGITS:
            first -= 1
        end = place
        while end < len(self.text) and self.text[end] in DIGITS:
            end += 1
        self._copy(first)
        self.parts.append(f'"{EDGE}')
        self.number_end = end

    def _leave_number(self, place: int) -> None:
        """Ends it, if a place is behind it."""
        if self.number_end and place >= self.number_end:
            self._copy(self.number_end)
            self.parts.append(f'{EDGE}"')
            self.number_end = 0


# -- revealing -------------------------------------------------------------------------------------
def reveal(text: str) -> str:
    """The text with secrets where references to them stand."""
    if LEAD not in text:
        return text
    revealing = _Revealing(_current())
    # Numbers first: one whose secret is not known stays a text, so it is decided for all of it.
    if EDGE in text:
        text = _HIDDEN_NUMBER.sub(revealing.number, text)
    return _REFERENCE.sub(revealing.secret, text)


@dataclass(frozen=True, slots=True)
class _Revealing:
    """What stands in the place of each reference."""

    secrets: _KnownSecrets

    def number(self, match: re.Match[str]) -> str:
        """A number without its marks; with a reference that nobody knows it stays a text."""
        digits = _REFERENCE.sub(self.secret, match["digits"])
        if _NUMBER.fullmatch(digits):
            return digits
        return f'"{digits}"'

    def secret(self, match: re.Match[str]) -> str:
        """What a reference stands for."""
        if match["digest"] is None:
            return LEAD
        quoted_label = match["label"]
        label: str = json.loads(f'"{quoted_label}"')
        spelling = self._spelling(label, match["digest"], match["form"])
        if spelling is None:
            return f"[{quoted_label}]"
        skip = int(match["skip"] or 0)
        rest = spelling[skip:]
        letters = match["escape"]
        if letters is None:
            return rest
        return f"\\{letters}{rest}"

    def _spelling(self, label: str, digest: str, form: str) -> str | None:
        secret = self.secrets.secret(label, digest)
        if secret is None:
            return None
        return _spellings(secret).get(form)
