"""What models cost and how much they read: a dated table that users can override, and an estimate of tokens.

Rules:
1. An unknown price is None, never 0.
2. What the user says goes before the table: `set_price`, then the file that `$GRAPHFLOW_PRICES` names, then ours.
3. An exact name goes before a pattern, a longer pattern before a shorter one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from math import ceil
from pathlib import Path
from types import NoneType
from typing import Any

from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.keywords import strict_keywords

TABLE = Path(__file__).with_name("prices.json")
CHARACTERS_PER_TOKEN = 4
"""What OpenAI's guide gives for English (help.openai.com, "What are tokens and how to count them?"). Code and other
languages take more tokens; an estimate is for pacing and for a first look, never for a bill."""


@strict_keywords
@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: tokens read.
        output: tokens written, reasoning included.
        cache_read: tokens read from the prompt cache; None = as `input`.
        cache_write: tokens written to the prompt cache; None = as `input`.
        context: tokens that the model can read, or None if unknown.
        tiers: by field, prices that hold for the whole request once its prompt has more than that many tokens.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    context: int | None = None
    tiers: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rates = {
            "input": self.input,
            "output": self.output,
            "cache_read": 0.0 if self.cache_read is None else self.cache_read,
            "cache_write": 0.0 if self.cache_write is None else self.cache_write,
        }
        for name, rate in rates.items():
            is_rate = isinstance(rate, (int, float)) and rate >= 0  # NaN is not at least 0
            if not is_rate:
                raise DeclarationError(
                    f"Price({name}={rate!r}) must be at least 0, in dollars per million tokens"
                )

    def cost(
        self, input_tokens: int, output_tokens: int, cache_read: int = 0, cache_write: int = 0
    ) -> float:
        """US dollars for one answer; cached tokens are part of `input_tokens`."""
        tokens = {
            "input": max(0, input_tokens - cache_read - cache_write),
            "output": output_tokens,
            "cache_read": cache_read,
            "cache_write": cache_write,
        }
        total = 0.0
        for name, count in tokens.items():
            total += count * self._rate(name, input_tokens)
        return total / 1_000_000

    def _rate(self, name: str, prompt: int) -> float:
        """The rate of a field for a prompt of so many tokens."""
        rate = getattr(self, name)
        if rate is None:  # an unknown cache rate: cached tokens are paid for like others
            return self._rate("input", prompt)
        for start, tier_rate in self.tiers.get(name, ()):
            if prompt > start:
                rate = tier_rate
        return float(rate)


EMBEDDED_WINDOW = 4096
"""Tokens that the models in this process read: as many as the engine is opened with."""
_own: dict[str, Price] = {}


def price_cure(model: str) -> str:
    """What to do about a model that nobody knows the price of, as the beginning of a sentence."""
    return f"Say it with set_price({model!r}, Price(input=..., output=...)) of graphflow.providers"


def set_price(named: str, price: Price | None) -> None:
    """Sets what a model costs, for this process.

    Args:
        named: "provider:model"; the model may be a shell pattern ("openai:ft:*").
        price: the price, or None to go back to the table.
    """
    provider, _, model = named.partition(":")
    if not provider or not model:
        raise DeclarationError(
            f"set_price({named!r}): name the model as 'provider:model'; the model may be a pattern"
        )
    if not isinstance(price, (Price, NoneType)):
        raise DeclarationError(
            f"set_price({named!r}): give Price(input=..., output=...), in dollars per million tokens"
        )
    if price is None:
        _own.pop(named, None)
    else:
        _own[named] = price


def price_of(named: str) -> Price | None:
    """The price of the model "provider:model", or None if nobody knows it."""
    file = os.environ.get("GRAPHFLOW_PRICES", "")
    # The user's word first, and the file only if there is none: it may be unreadable, and then says so.
    own = _best(_own, named) or _best(_from_file(file), named)
    if own is not None:
        return own
    provider, _, model = named.partition(":")
    if provider == "openai-responses":  # another wire, the same models
        provider = "openai"
    table = _shipped().get(provider, {})
    return _best(table, model)


def cost_of(
    named: str,
    input_tokens: int,
    output_tokens: int,
    cache_read: int | None = None,
    cache_write: int | None = None,
) -> float | None:
    """US dollars for one answer of a model, or None if its price is unknown."""
    price = price_of(named)
    if price is None:
        return None
    return price.cost(
        input_tokens,
        output_tokens,
        cache_read=cache_read or 0,
        cache_write=cache_write or 0,
    )


def least_cost(named: str, input_tokens: int) -> float:
    """US dollars that a model costs at the least that reads so many tokens; 0 if nobody knows its price."""
    price = price_of(named)
    if price is None:
        return 0.0
    rates = [price.input]
    # All of it may come from a cache.
    if price.cache_read is not None:
        rates.append(price.cache_read)
    for name in ("input", "cache_read"):
        rates += [rate for _, rate in price.tiers.get(name, ())]
    return min(rates) * input_tokens / 1_000_000


def context_window(named: str) -> int | None:
    """Tokens that a model can read, or None if unknown."""
    price = price_of(named)
    if price is not None:
        return price.context
    return EMBEDDED_WINDOW if named.startswith("local:") else None


def estimate_tokens(text: str | bytes | int) -> int:
    """About how many tokens a text has (or a text of so many characters); no network, no vocabulary."""
    size = text if isinstance(text, int) else len(text)
    return ceil(size / CHARACTERS_PER_TOKEN)


def as_of() -> str:
    """The date of the table we ship, as YYYY-MM-DD."""
    return str(_read(TABLE)["as_of"])


def _best(table: Mapping[str, Price], name: str) -> Price | None:
    exact = table.get(name)
    if exact is not None:
        return exact
    patterns = [pattern for pattern in table if "*" in pattern and fnmatchcase(name, pattern)]
    if not patterns:
        return None
    closest = max(patterns, key=len)  # "gpt-5-mini*" says more about a model than "gpt-5*"
    return table[closest]


@cache
def _shipped() -> dict[str, dict[str, Price]]:
    """The table that we ship: prices by provider and model."""
    prices: dict[str, dict[str, Price]] = {}
    for provider, rows in _read(TABLE)["prices"].items():
        models = prices[provider] = {}
        for row in rows:
            names = row["models"]
            models |= dict.fromkeys(names, _price(row))
    return prices


@cache
def _from_file(path: str) -> dict[str, Price]:
    if not path:
        return {}
    rows = _read(Path(path))
    try:
        return {named: _price(row) for named, row in rows.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise FileUnreadable(
            f"{path} (from $GRAPHFLOW_PRICES) is not a table of prices: write "
            f'{{"provider:model": {{"input": 1.0, "output": 2.0}}}} in dollars per million tokens ({error!r})'
        ) from None


_FIELDS = {"input": "input", "output": "output", "read": "cache_read", "write": "cache_write"}
"""What the keys of a table are called in a `Price`."""


def _price(row: Mapping[str, Any]) -> Price:
    tiers: dict[str, tuple[tuple[int, float], ...]] = {}
    for key, steps in row.get("tiers", {}).items():
        field = _FIELDS[key]
        tiers[field] = tuple((start, rate) for start, rate in steps)
    return Price(
        input=row["input"],
        output=row["output"],
        cache_read=row.get("read"),
        cache_write=row.get("write"),
        context=row.get("context"),
        tiers=tiers,
    )


def _read(path: Path) -> dict[str, Any]:
    from pydantic_core import from_json  # here, since `import graphflow` loads nothing heavy

    try:
        data: dict[str, Any] = from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FileUnreadable(f"the prices in {path} cannot be read: {error}") from None
    return data
