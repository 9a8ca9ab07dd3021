"""What somebody has said of themselves, as it is said to them: "I am at home" becomes "you are at home". English only."""

from __future__ import annotations

import re

_PERSON = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "i'm": "you're",
    "i've": "you've",
    "i'd": "you'd",
    "i'll": "you'll",
}
_VERBS = {"am": "are", "was": "were"}
_VERB = re.compile(r"\b(i) (am|was)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+(?:['\u2019][a-z]+)?")
_ENDS = (".", "!", "?")


def to_you(text: str) -> str:
    """A text in the first person in the second. What somebody quotes is changed as well."""
    agreed = _VERB.sub(_agree, text)

    def turn(found: re.Match[str]) -> str:
        word = found[0]
        plain = word.lower().replace("\u2019", "'")
        other = _PERSON.get(plain)
        if other is None:
            return word
        before = agreed[: found.start()].rstrip()
        if not before or before.endswith(_ENDS):
            return other.capitalize()
        return other

    return _WORD.sub(turn, agreed)


def _agree(found: re.Match[str]) -> str:
    """The verb of the second person behind the pronoun, which is turned after it."""
    pronoun, verb = found.groups()
    other = _VERBS[verb.lower()]
    return f"{pronoun} {other}"
