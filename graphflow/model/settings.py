"""How a model is asked, whatever the question: sampling, lengths, thinking, the choice of tools.

The settings are written down once, here. An agent declares them, a `Request` carries them, and a wire format renders
those that it has words for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any, Literal, TypedDict

from graphflow.errors import DeclarationError

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")


class SettingsOptions(TypedDict, total=False):
    """The settings as keywords of whoever takes them one by one."""

    temperature: float | None
    max_tokens: int | None
    stop: Sequence[str]
    seed: int | None
    top_p: float | None
    top_k: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    tool_choice: str | None
    parallel_calls: bool | None
    thinking: bool | int | Effort | None
    prompt_cache: bool
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is asked. `None` always means: the provider's default.

    Attributes:
        temperature: 0 = always the likeliest token.
        max_tokens: tokens it may write at most.
        stop: texts at which it stops.
        seed: for providers that sample reproducibly.
        top_p: only the likeliest tokens that make up this probability.
        top_k: only this many likeliest tokens.
        presence_penalty, frequency_penalty: -2 to 2; against what was said at all, or often.
        tool_choice: "auto", "none", "required", or the name of the tool to call.
        parallel_calls: whether it may ask for several calls in one turn.
        thinking: how much it reasons first: a budget in tokens, an effort ("low", "high"...), or on / off.
        prompt_cache: the provider shall cache as much of the prompt as it can.
        extra: the provider's own parameters, merged into the request as they are (safety settings, hosted tools, ...).
    """

    temperature: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    tool_choice: str | None = None
    parallel_calls: bool | None = None
    thinking: bool | int | Effort | None = None
    prompt_cache: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.stop, tuple):
            return
        texts = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", texts)

    def checked(self, whose: str) -> Settings:
        """The settings, if each has a value that it can have; a budget of no thinking is no thinking.

        Raises:
            DeclarationError: one has not; the text names it.
        """
        for problem in self._problems():
            raise DeclarationError(f"{whose}: {problem}")
        if self.thinking == "none" or _is_zero(self.thinking):
            return replace(self, thinking=False)
        return self

    def _problems(self) -> Iterator[str]:
        for name, (kinds, words) in _KINDS.items():
            value = getattr(self, name)
            if value is not None and not _is_of(kinds, value):
                yield f"{name}={value!r} must be {words}"
        for name in _FRACTIONS:
            value = getattr(self, name)
            if value is not None and not isfinite(value):
                yield f"{name}={value!r} must be a finite number"
        if isinstance(self.thinking, int) and self.thinking < 0:
            yield f"thinking={self.thinking!r} must not be negative"
        if self.max_tokens is not None and self.max_tokens < 1:
            yield f"max_tokens={self.max_tokens!r} must be at least 1"
        if isinstance(self.thinking, str) and self.thinking not in (*EFFORTS, "none"):
            yield f"thinking={self.thinking!r} must be one of {', '.join(EFFORTS)}, a budget in tokens, True or False"

    @property
    def stated(self) -> dict[str, Any]:
        """The settings that are not the default."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: value for name, value in values.items() if value != getattr(DEFAULTS, name)}


SETTINGS = tuple(setting.name for setting in fields(Settings))
"""The names of all settings."""
DEFAULTS = Settings()

_FRACTIONS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_COUNTS = ("max_tokens", "seed", "top_k")
_FLAGS = ("parallel_calls", "prompt_cache")
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(_FRACTIONS, ((int, float), "a number")),
    **dict.fromkeys(_COUNTS, ((int,), "a whole number")),
    "tool_choice": ((str,), 'the name of a tool, "auto", "none" or "required"'),
    **dict.fromkeys(_FLAGS, ((bool,), "True or False")),
    "thinking": ((bool, int, str), "a budget in tokens, an effort, True or False"),
}
"""What each setting can be. True and False are numbers to Python, and to nobody else."""


def _is_of(kinds: tuple[type, ...], value: object) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds)


def _is_zero(thinking: object) -> bool:
    return thinking == 0 and thinking is not False
