"""A guard of languages. It knows 97 of them (py3langid, a naive Bayes classifier over bytes: Lui and Baldwin 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from graphflow.concurrency import in_thread
from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard
from graphflow.errors import DeclarationError, MissingExtra
from graphflow.security.text_guard import texts_in

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST = 20
"""Letters from which on a text has a language that can be told."""
SAMPLE = 4_000
"""Characters that are looked at of each part of a text."""


@dataclass(frozen=True, init=False)
class Language(Guard):
    """Rejects messages with a text in another language.

    Attributes:
        languages: those that pass, by their codes of ISO 639-1: "en", "de".
        shortest: letters from which on a text is judged; names, numbers and single words have no language to tell.
    """

    languages: tuple[str, ...]
    shortest: int
    name = "language"
    checks_content: ClassVar[bool] = False

    def __init__(self, *languages: str, shortest: int = SHORTEST) -> None:
        if not languages or not all(_is_code(code) for code in languages):
            raise DeclarationError(
                f"Language{languages!r}: give codes of two letters, as in Language('en', 'de')"
            )
        object.__setattr__(self, "languages", languages)
        object.__setattr__(self, "shortest", shortest)

    async def check(self, message: object, ctx: Context) -> str | None:
        texts = [text for text in texts_in(message) if _letters(text, self.shortest)]
        if not texts:
            return None
        # Its tables are read when it is first asked, which takes half a second.
        return await in_thread(self._judge, texts)

    def _judge(self, texts: Sequence[str]) -> str | None:
        for text in texts:
            # Part by part: a long beginning in one language is no cover for an end in another.
            for start in range(0, len(text), SAMPLE):
                part = text[start : start + SAMPLE]
                if not _letters(part, self.shortest):
                    continue
                code = language_of(part)
                if code not in self.languages:
                    listed = ", ".join(self.languages)
                    return f"a text of it is in {code}, not in {listed}"
        return None


def _is_code(code: object) -> bool:
    return isinstance(code, str) and len(code) == 2 and code.isalpha() and code.islower()


def _letters(text: str, most: int) -> bool:
    """Whether there are so many letters in a text; counts no further."""
    count = 0
    for letter in text:
        count += letter.isalpha()
        if count >= most:
            return True
    return False


def language_of(text: str) -> str:
    """The language of a text, by its code of ISO 639-1.

    Raises:
        MissingExtra: py3langid is not installed.
    """
    code, _ = _identifier().classify(text)
    return str(code)


@lru_cache(maxsize=1)
def _identifier() -> _Identifier:
    try:
        from py3langid import langid
    except ImportError as error:
        raise MissingExtra("the guard Language", "language") from error
    identifier: _Identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
    return identifier


class _Identifier:
    """What is used of py3langid's identifier."""

    def classify(self, text: str) -> tuple[str, float]:
        raise NotImplementedError
