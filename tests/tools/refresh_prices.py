"""Writes graphflow/model/prices.json anew from the package genai-prices (MIT, Pydantic Services Inc.).

python -m venv prices-venv && prices-venv/bin/pip install genai-prices
prices-venv/bin/python tests/tools/refresh_prices.py 2026-11-21
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

OURS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "x-ai": "xai",
    "together": "together",
}
FIELDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "read",
    "cache_write_mtok": "write",
}


def patterns(clause: Any) -> list[str]:
    """The clause as shell patterns; what cannot be said so is left out."""
    kind = type(clause).__name__
    if kind == "ClauseOr":
        return [pattern for part in clause.or_ for pattern in patterns(part)]
    if kind == "ClauseEquals":
        return [clause.equals]
    if kind == "ClauseStartsWith":
        return [clause.starts_with + "*"]
    if kind == "ClauseContains":
        return ["*" + clause.contains + "*"]
    return []


def price_of(prices: Any) -> dict[str, Any] | None:
    """Dollars per million tokens; a list `[from_tokens, price]` for prices that rise with the prompt."""
    # Prices that hold from a date, or at hours of the day: the latest general one.
    if isinstance(prices, list):
        plain = [p for p in prices if p.constraint is None or hasattr(p.constraint, "start_date")]
        prices = plain[-1].prices if plain else None
    if prices is None:
        return None
    price: dict[str, Any] = {}
    for theirs, ours in FIELDS.items():
        value = getattr(prices, theirs, None)
        if value is None:
            continue
        if hasattr(value, "tiers"):
            price[ours] = float(value.base)
            price.setdefault("tiers", {})[ours] = [
                [tier.start, float(tier.price)] for tier in value.tiers
            ]
        else:
            price[ours] = float(value)
    return price if "input" in price and "output" in price else None


def main() -> None:
    from genai_prices.data import providers  # type: ignore[import-not-found]  # in an environment of its own

    table: dict[str, list[dict[str, Any]]] = {}
    for provider in providers:
        if provider.id not in OURS:
            continue
        rows = table.setdefault(OURS[provider.id], [])
        for model in provider.models:
            price = price_of(model.prices)
            names = sorted({model.id, *patterns(model.match)})
            if price:
                context = {"context": model.context_window} if model.context_window else {}
                rows.append({"models": names, **price, **context})
    whole = {
        "as_of": sys.argv[1],
        "source": f"genai-prices {version('genai-prices')}, MIT licence, (c) Pydantic Services Inc.",
        "unit": "US dollars per million tokens",
        "prices": table,
    }
    target = Path(__file__).parents[2] / "graphflow" / "model" / "prices.json"
    text = json.dumps(whole, indent=0, ensure_ascii=False)
    target.write_text(
        text.replace("\n", "").replace('{"models"', '\n{"models"') + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
