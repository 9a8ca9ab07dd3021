"""Secrets out of everything that leaves: events in files, reports, pictures, logs, errors, recordings.

Rules:
1. What is known to be secret is replaced wherever it stands: values of variables that are named like keys, passwords in the
   addresses that variables hold, what was passed in (`remember`), and the `Secrets` of runs, patterns included, as long as
   somebody has these; as it is, and as URLs, JSON, HTML and Python write it.
2. What looks like a secret is replaced, too: the shapes of known tokens, private keys, passwords in addresses, and the values
   behind names such as `password=`.
3. Everything is found in the text as it came, then replaced at once: two secrets that overlap leave no rest of either.
4. A word is not a secret wherever it stands: where a password is "postgres", texts go on speaking of postgres. It is replaced
   only as a whole value, and where its place says what it is.

Both are nets under the rule that keys are not in such texts to begin with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import ref

from graphflow.secrets.registry import living
from graphflow.secrets.spellings import SHORTEST_SECRET, spellings_of

if TYPE_CHECKING:
    from graphflow.secrets.opened import OpenSecrets

_NAMED = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|(^|_|PG)PASS(_|$)|_PWD$|CREDENTIAL|AUTHORIZATION|COOKIE|_AUTH(_|$)",
    re.IGNORECASE,
)
SHORTEST = SHORTEST_SECRET
"""Characters below which a secret is looked for as a word of its own only."""
SHORTEST_WORD = 4
"""Characters below which nothing is a secret: "x" is what people give to a server that wants any key."""
LONGEST_WORD = 19
"""Letters of a word: who joins several to a longer one has made a passphrase."""
LONGEST_NUMBER = 11
MARK = "[secret]"
TextSpan = tuple[int, int, str]
"""Where a secret stands in a text, from and to, and what it is called."""
LabeledSecret = tuple[str, str]
"""What a secret is called, and the secret."""

# -- what looks like a secret ----------------------------------------------------------------------
_TOKENS = (
    ("sk-", r"sk-[A-Za-z0-9_-]{16,}"),  # OpenAI, Anthropic, DeepSeek, OpenRouter
    ("k_live_ k_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}"),  # Stripe
    ("whsec_", r"whsec_[A-Za-z0-9+/=]{16,}"),
    ("gsk_", r"gsk_[A-Za-z0-9]{16,}"),
    ("xai-", r"xai-[A-Za-z0-9]{16,}"),
    ("hf_", r"hf_[A-Za-z0-9]{20,}"),
    ("r8_", r"r8_[A-Za-z0-9]{20,}"),
    ("pplx- nvapi- tvly-", r"(?:pplx|nvapi|tvly)-[A-Za-z0-9_-]{20,}"),
    ("AIza", r"AIza[A-Za-z0-9_-]{30,}"),  # Google
    ("ya29.", r"ya29\.[A-Za-z0-9_-]{20,}"),
    ("GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    ("ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{30,}"),  # GitHub
    ("github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    ("gl", r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_.-]{16,}"),  # GitLab
    ("xox", r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}"),  # Slack
    ("xapp-", r"xapp-[A-Za-z0-9-]{10,}"),
    ("AKIA ASIA", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),  # AWS
    ("npm_", r"npm_[A-Za-z0-9]{30,}"),
    ("pypi-", r"pypi-[A-Za-z0-9_-]{30,}"),
    ("_v1_", r"do[opr]_v1_[a-f0-9]{40,}"),
    ("shp", r"shp[a-z]{2}_[a-fA-F0-9]{30,}"),
    ("SG.", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("lin_api_ ntn_", r"(?:lin_api|ntn)_[A-Za-z0-9]{30,}"),
    ("dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{20,}"),
    ("hvs. hvb. atlasv1.", r"(?:hv[sb]|atlasv1)\.[A-Za-z0-9_-]{20,}"),
    ("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    ("eyJ", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+"),  # a JSON web token
)
_VALUE = r"\\?[\"']?\s{0,3}[:=]\s{0,3}\\?[\"']?"
"""What stands between a name and its value: in assignments, in headers, in JSON, in JSON within JSON."""
_PLACES = (
    (
        "private key",
        r"(?P<key>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s,:.]|\\[nr])*"
        r"(?:-----END [A-Z0-9 ]{0,40}-----)?)",
    ),
    ("://", r"://[^\s/:@\"'<>]*:(?P<address>[^\s/\"'<>]+)@"),  # scheme://user:password@host
    (
        "@",  # user:password@host
        r"(?<![\w@:/.-])(?!(?:mailto|e-?mail|to|cc|bcc|from|reply-to|contact|sip|xmpp|acct|re):)"
        r"[\w.+-]{1,64}:(?P<bare>[^\s@/:\"'<>]{2,128})@(?=\w)(?!sha\d+:)",
    ),
    ("bearer", r"\bbearer\s+(?P<named>[A-Za-z0-9._~+/-]{16,}=*)"),
    (
        "authorization",
        rf"\bauthorization{_VALUE}(?:[a-z]+\s+)?(?P<named>[A-Za-z0-9._~+/-]{{6,}}=*)",
    ),
    (
        "=",
        r"[?&;#](?:[\w-]{0,40}(?:api[_-]?key|token|secret|password|passwd|pwd|signature)|key|sig|auth)="
        r"(?P<address>[^\s&#\"'<>]+)",
    ),
    (
        "key secret passw passphrase pwd",  # in JSON and Python: {"password": "what two words are"}
        r"(?:api_?key|client_?secret|private_?key|secret_?key|password|passwd|passphrase|pwd)"
        r"(?:\\?[\"'])?\s{0,3}[:=]\s{0,3}(?:\\?[\"'])(?P<quoted>[^\"'\\\n]{4,})",
    ),
    (
        "key token secret passw passphrase pwd",
        r"(?:api[_-]?key|access[_-]?key|access[_-]?token|auth[_-]?token|secret|password|passwd|passphrase|pwd)"
        rf"{_VALUE}(?P<named>[^\s\"'\\,;&()\[\]{{}}<>]{{6,}})",
    ),
)
"""A secret that its place tells: only the group is replaced, and only if `_tells` it from a word."""
_ADDRESS = re.compile(_PLACES[1][1])


def _hints(text: str) -> list[str]:
    """What a text must hold to be looked through for a shape: most texts hold none of it."""
    return [text] if text == "private key" else text.split()


_TOKEN_SHAPES = [
    (_hints(hints), re.compile(rf"(?<![A-Za-z0-9])(?:{shape})")) for hints, shape in _TOKENS
]
_PLACE_SHAPES = [(_hints(hints), re.compile(shape, re.IGNORECASE)) for hints, shape in _PLACES]
_ALL_HINTS = [hint for hints, _ in (*_TOKEN_SHAPES, *_PLACE_SHAPES) for hint in hints]
_ANY_HINT = re.compile("|".join(re.escape(hint.lower()) for hint in _ALL_HINTS))
SHORT_TEXT = 500
"""Characters of a text in which all hints are looked for at once; in a longer one each by itself is faster."""


def is_word(value: str) -> bool:
    """Whether something is a word or a number as texts have them, and so cannot be told from one."""
    if value.isalpha():
        cased = value[1:].islower() or value.isupper()
        return cased and len(value) <= LONGEST_WORD
    return value.isdigit() and len(value) <= LONGEST_NUMBER


# -- what is known to be one -----------------------------------------------------------------------
_remembered: dict[str, str] = {}
"""What was passed in, as it may be written, with its label."""
_starts: dict[str, list[str]] = {}
"""The same by how it begins: a process that was given thousands need not look for each of them."""
_words: dict[str, str] = {}
"""What was passed in, and is a word, or shorter than what is looked for in every text."""
_given: dict[LabeledSecret, None] = {}
"""What was passed in and is not a word, as it is, in that order."""
_known: list[tuple[Filter, list[ref[OpenSecrets]], tuple[LabeledSecret, ...]]] = []
"""What `known_secrets` gave last, the filter whose variables are in it, and the secrets of runs that are."""
MANY = 50
"""Secrets from which on they are looked for by how they begin."""


def remember(secret: str, label: str) -> None:
    """A secret that was passed in, and not by a variable: it is looked for from now on."""
    if len(secret) < SHORTEST_WORD:
        return
    if len(secret) < SHORTEST or is_word(secret):
        _words[secret] = label
        _latest.clear()
        return
    if (label, secret) not in _given:
        _given[label, secret] = None
        _known.clear()
    for spelling in spellings_of(secret):
        if spelling not in _remembered:
            start = spelling[:SHORTEST]
            _starts.setdefault(start, []).append(spelling)
        _remembered[spelling] = label


@lru_cache(maxsize=2048)
def _secrets_of(name: str, value: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What of a variable is secret: to be looked for everywhere, as it is and as it may be written, and as a word."""
    if is_secret(name):
        is_path = value.startswith(("/", "~")) and os.path.exists(value)
        secrets = [] if is_path else [value]  # where a secret lies is none
    else:
        secrets = [match["address"] for match in _ADDRESS.finditer(value)]
    plain: list[str] = []
    everywhere: list[str] = []
    words: list[str] = []
    for secret in secrets:
        if len(secret) >= SHORTEST and not is_word(secret):
            plain.append(secret)
            everywhere += spellings_of(secret)
        elif len(secret) >= SHORTEST_WORD:
            words.append(secret)
    return tuple(plain), tuple(everywhere), tuple(words)


@lru_cache(maxsize=2048)
def is_secret(name: str) -> bool:
    """Whether a variable or header of that name holds something secret."""
    return _NAMED.search(name) is not None


class Filter:
    """What every text goes through on its way out."""

    def __init__(self) -> None:
        self.plain_secrets: list[LabeledSecret] = []
        self.secrets: dict[str, str] = {}
        self.words: dict[str, str] = dict(_words)
        for name, value in os.environ.items():
            if len(value) < SHORTEST_WORD:
                continue
            plain, everywhere, words = _secrets_of(name, value)
            self.plain_secrets += [(name, secret) for secret in plain]
            self.secrets.update(dict.fromkeys(everywhere, name))
            self.words.update(dict.fromkeys(words, name))

    def text(self, text: str) -> str:
        """The text with a mark where each secret stood."""
        if len(text) < SHORTEST_WORD:
            return text
        label = self.words.get(text.strip())
        if label is not None:
            return f"[{label}]"
        return self.name(text)

    def name(self, text: str) -> str:
        """The same for what something is called: a word stays one, though it may be somebody's password."""
        if len(text) < SHORTEST_WORD:
            return text
        spans = sorted(self._spans(text))
        if not spans:
            return text
        return _replaced(text, spans)

    def plain(self, value: Any, *, named: bool = False) -> Any:
        """Plain data with every text in it scrubbed. Numbers are left alone: a count is not a secret.

        `named`: the texts are names of things.
        """
        if isinstance(value, str):
            return self.name(value) if named else self.text(value)
        if isinstance(value, Mapping):
            plain: dict[str, Any] = {}
            for key, inner in value.items():
                name = str(key)
                plain[self.name(name)] = self._under(name, inner)
            return plain
        if isinstance(value, (list, tuple)):
            return [self.plain(inner, named=named) for inner in value]
        return value

    def _under(self, key: str, value: Any) -> Any:
        """A value by its key: what is called a password is one, whatever it looks like."""
        if not isinstance(value, str) or len(value) < SHORTEST_WORD:
            return self.plain(value)
        if value.startswith("$") or not _PASSWORD.search(key):
            return self.plain(value)
        return value if value.startswith("[") else MARK  # what begins so is a mark already

    def _spans(self, text: str) -> Iterator[TextSpan]:
        """Where secrets stand, each time they do; spans may overlap."""
        yield from _spans_of_runs(text)
        known = (*self.secrets.items(), *_remembered_in(text))
        for secret, label in known:
            at = text.find(secret)
            while at >= 0:
                yield at, at + len(secret), label
                at = text.find(secret, at + 1)
        for word, label in self.words.items():
            if word not in text or is_word(word):
                continue
            # It is too short to be looked for within words.
            alone = rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"
            for match in re.finditer(alone, text):
                yield *match.span(), label
        if len(text) > SHORT_TEXT or _ANY_HINT.search(text.lower()):
            yield from _tokens_in(text)
            yield from self._placed_in(text)

    def _placed_in(self, text: str) -> Iterator[TextSpan]:
        """Where something stands whose place says that it is a secret."""
        low = text.lower()
        for hints, shape in _PLACE_SHAPES:
            if any(hint in low for hint in hints):
                for match in shape.finditer(text):
                    group = match.lastgroup or ""
                    if self._tells(group, match[group]):
                        yield *match.span(group), "secret"

    def _tells(self, group: str, value: str) -> bool:
        """Whether what stands in a place for secrets is one: in sentences, words stand there as well."""
        if value.startswith("[") or value.startswith("$"):
            return False
        if group in ("key", "address", "quoted"):
            return True
        if group == "bare":
            return value in self.words or not value.isdigit()
        return value in self.words or not is_word(value.rstrip(".:!?"))


_PASSWORD = re.compile(
    r"^(password|passwd|passphrase|pwd|api_?key|client_?secret|private_?key|secret_?key)$",
    re.IGNORECASE,
)


def _tokens_in(text: str) -> Iterator[TextSpan]:
    """Where something stands that looks like a secret."""
    for hints, shape in _TOKEN_SHAPES:
        if any(hint in text for hint in hints):
            for match in shape.finditer(text):
                yield *match.span(), "secret"


def _spans_of_runs(text: str) -> Iterator[TextSpan]:
    """Where something stands that is a secret of a run."""
    for opened in living():
        for start, end, number in opened.spans(text):
            yield start, end, opened.names[number]


def _remembered_in(text: str) -> list[tuple[str, str]]:
    """What was passed in and may stand in the text."""
    if len(_remembered) <= MANY:
        return list(_remembered.items())
    places = range(len(text) - SHORTEST + 1)
    starts = {text[place : place + SHORTEST] for place in places}
    found: list[tuple[str, str]] = []
    for start in starts & _starts.keys():
        for secret in _starts[start]:
            found.append((secret, _remembered[secret]))
    return found


def _replaced(text: str, spans: list[TextSpan]) -> str:
    """The text with a mark for each run of overlapping spans; the longest of them gives it its name."""
    parts: list[str] = []
    done = 0
    start, end, label = spans[0]
    longest = end - start
    behind = len(text) + 1
    # The last one ends the run before it.
    for first, last, other in (*spans[1:], (behind, behind, "")):
        length = last - first
        if first >= end:
            parts.append(text[done:start])
            parts.append(f"[{label}]")
            done = end
            start, end, label, longest = first, last, other, length
            continue
        end = max(end, last)
        if length > longest:
            longest, label = length, other
    parts.append(text[done:])
    return "".join(parts)


_latest: list[tuple[dict[Any, Any], Filter]] = []
"""The filter that was made last, and the variables that it was made of."""


def current() -> Filter:
    """The filter for the variables as they are now: reading them all takes longer than looking through a short text."""
    variables = getattr(os.environ, "_data", None)
    if not isinstance(variables, dict):
        return Filter()
    if not _latest or _latest[0][0] != variables:
        _latest[:] = [(dict(variables), Filter())]
    return _latest[0][1]


def scrub(text: str) -> str:
    """The text with a mark where each secret stood."""
    return current().text(text)


def scrubbed(value: Any) -> Any:
    """Plain data with every text in it scrubbed. Numbers are left alone: a count is not a secret."""
    return current().plain(value)


def known_secrets() -> tuple[LabeledSecret, ...]:
    """All that is known to be secret, as it is, with what it is called: what variables hold, what was passed in, secrets of runs.

    It is the same object as long as nothing has changed. Words are none of it.
    """
    now = current()
    of_runs = living()
    for made_with, secrets, known in _known:
        if made_with is now and [each() for each in secrets] == of_runs:
            return known
    found = [*now.plain_secrets, *_given]
    for opened in of_runs:
        found += opened.values()
    given = tuple(found)
    _known[:] = [(now, [ref(opened) for opened in of_runs], given)]
    return given


_RANDOM = re.compile(r"[A-Za-z0-9_+-]{20,}")


def looks_secret(text: str) -> bool:
    """Whether a text is a secret, holds one, or is so random that nobody has made it up: what no file should hold."""
    if scrub(text) != text:
        return True
    return any(_is_random(part) for part in _RANDOM.findall(text))


def _is_random(part: str) -> bool:
    if re.fullmatch(r"[0-9a-f]{32,}|[0-9A-F]{32,}", part):
        return True
    for kind in ("[a-z]", "[A-Z]", "[0-9]"):
        if not re.search(kind, part):
            return False
    changes = 0  # from digits to letters and back: words with a year in them have few
    for one, next_one in pairwise(part):
        changes += one.isdigit() != next_one.isdigit()
    return changes >= 4
