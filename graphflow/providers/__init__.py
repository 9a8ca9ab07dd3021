"""Models: endpoints (where) over wire formats (how), and what makes them dependable.

A provider turns a request into events and knows no graph, no node and no run; what it shares with agents is the seam in
`graphflow.model`. Whatever goes wrong leaves as a `ModelError` of one tree, in which the provider's own words stand and no key.
Bytes become events in pure functions (`wires`), while keys, retries and pace are decided around them, for all providers alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphflow.model.prices import Price, context_window, estimate_tokens, price_of, set_price
    from graphflow.model.seam import Model
    from graphflow.providers.credentials import Credential, GiveKey, KeyWanted
    from graphflow.providers.failover import Failover
    from graphflow.providers.http import Timeouts, aclose
    from graphflow.providers.pace import Pace
    from graphflow.providers.retry import RetryPolicy
    from graphflow.providers.structured_output import Way

__all__ = [
    "Credential",
    "Failover",
    "KeyWanted",
    "Pace",
    "Price",
    "RetryPolicy",
    "Timeouts",
    "aclose",
    "connect",
    "context_window",
    "estimate_tokens",
    "price_of",
    "set_price",
]

_HOME = {
    "Credential": "providers.credentials",
    "KeyWanted": "providers.credentials",
    "Failover": "providers.failover",
    "Pace": "providers.pace",
    "Price": "model.prices",
    "RetryPolicy": "providers.retry",
    "Timeouts": "providers.http",
    "aclose": "providers.http",
    "context_window": "model.prices",
    "estimate_tokens": "model.prices",
    "price_of": "model.prices",
    "set_price": "model.prices",
}


def connect(
    model: str,
    *,
    key: str | None = None,
    keys: Sequence[str] | None = None,
    credentials: GiveKey | None = None,
    base_url: str | None = None,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | int | None = None,
    rpm: float | None = None,
    tpm: float | None = None,
    pace: Pace | None = None,
    stream: bool | None = None,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    output: Way | None = None,
    options: Mapping[str, Any] | None = None,
) -> Model:
    """A model with options; a plain string "provider:model" is the same without any.

    Args:
        model: "provider:model", split at the first colon.
        key: the API key, or "$NAME" for the variable that holds it; default: the provider's usual variable.
        keys: several keys, used in turn; one that is refused is dropped, one at its rate limit rests.
        credentials: a function that gives the key: of a `KeyWanted`, async or plain. It is asked when the first request goes out,
            and again when what it gave has run out (`Credential(key, lasts_s=3600)`) or was refused.
        base_url: another address that speaks the same wire format ("http://127.0.0.1:8000/v1").
        timeouts: for a connection, the first token, between tokens, and the whole.
        retry: how often to try again; a number of attempts, or a `RetryPolicy`.
        rpm, tpm: requests and tokens per minute that are kept to; what a minute allows may go out at once.
        pace: the same, to share among models.
        stream: whether the answer is asked for piece by piece (default), or whole.
        headers: sent with every request.
        extra: the provider's own parameters, for every request.
        output: how answers are held to a schema: by the API ("schema"), by a forced tool ("tool") or by words ("text").
        options: options of a third party's provider, as it names them.

    Raises:
        UnknownProvider: no provider has that name; the text lists near ones.
        KeyMissing: there is no key; the text names the variable and the page where keys are made.
    """
    from graphflow.model.resolve import open_model

    given = {
        "key": key,
        "keys": keys,
        "credentials": credentials,
        "base_url": base_url,
        "timeouts": timeouts,
        "retry": retry,
        "rpm": rpm,
        "tpm": tpm,
        "pace": pace,
        "stream": stream,
        "headers": headers,
        "extra": extra,
        "output": output,
        **(options or {}),
    }
    return open_model(model, **{name: value for name, value in given.items() if value is not None})


def __getattr__(name: str) -> Any:
    """Loads a name when it is first asked for (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'graphflow.providers' has no attribute {name!r}")
    value = getattr(import_module(f"graphflow.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__]
