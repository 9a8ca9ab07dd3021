"""How a model is asked, whatever the question: sampling, lengths, thinking, the choice of tools.

The settings are written down once, here. An agent declares them, a `Request` carries them, and a wire format renders
those that it has words for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        # One text, or a list of them, as people write it. The class is frozen for everybody else.
        texts = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", texts)

    def checked(self, whose: str) -> Settings:
        """The settings, if each has a value that it can have; a budget of no thinking is no thinking.

        Raises:
            DeclarationError: one has not; the text names it.
        """
        problem = self._problem()
        if problem:
            raise DeclarationError(f"{whose}: {problem}")
        is_no_budget = self.thinking == 0 and self.thinking is not False
        if is_no_budget or self.thinking == "none":
            return replace(self, thinking=False)
        return self

    def _problem(self) -> str:
        """What is wrong with the first setting that has a value it cannot have; empty if all is well."""
        for name, (kinds, words) in _KINDS.items():
            value = getattr(self, name)
            if value is None:
                continue
            if not _is_of(kinds, value):
                return f"{name}={value!r} must be {words}"
            if name in _FRACTIONS and not isfinite(value):
                return f"{name}={value!r} must be a finite number"
        if self.max_tokens is not None and self.max_tokens < 1:
            return f"max_tokens={self.max_tokens!r} must be at least 1"
        return self._problem_of_thinking()

    def _problem_of_thinking(self) -> str:
        thinking = self.thinking
        if isinstance(thinking, int) and thinking < 0:
            return f"thinking={thinking!r} must not be negative"
        if isinstance(thinking, str) and thinking not in (*EFFORTS, "none"):
            efforts = ", ".join(EFFORTS)
            return (
                f"thinking={thinking!r} must be one of {efforts}, a budget in tokens, True or False"
            )
        return ""

    @property
    def stated(self) -> dict[str, Any]:
        """The settings that are not the default."""
        stated: dict[str, Any] = {}
        for name in SETTINGS:
            value = getattr(self, name)
            if value != getattr(DEFAULTS, name):
                stated[name] = value
        return stated


SETTINGS = tuple(setting.name for setting in fields(Settings))
"""The names of all settings."""
DEFAULTS = Settings()

_FRACTIONS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_NUMBER = ((int, float), "a number")
_COUNT = ((int,), "a whole number")
_FLAG = ((bool,), "True or False")
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "max_tokens": _COUNT,
    "seed": _COUNT,
    "top_k": _COUNT,
    "tool_choice": ((str,), 'the name of a tool, "auto", "none" or "required"'),
    "parallel_calls": _FLAG,
    "prompt_cache": _FLAG,
    # A number of tokens, an effort, or on and off: the wires say it in their vendors' words.
    "thinking": ((bool, int, str), "a budget in tokens, an effort, True or False"),
}
"""What each setting can be. True and False are numbers to Python, and to nobody else."""


def _is_of(kinds: tuple[type, ...], value: object) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds)
