"""What models are in reach: providers, whether their keys are set, weights, tools; and one tiny call to see that it works."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from urllib.parse import urlsplit

from graphflow.errors import MalformedReply, UnknownProvider
from graphflow.model.reply import Reply, gather
from graphflow.model.resolve import PROVIDERS, open_model
from graphflow.model.seam import Request, TextDelta, ThinkingDelta
from graphflow.model.turns import UserTurn
from graphflow.providers.embedded import weights
from graphflow.providers.endpoint import Endpoint
from graphflow.providers.endpoints import ENDPOINTS, open_at
from graphflow.providers.faults import fault, read_body
from graphflow.providers.http import Timeouts, get


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, as `graphflow models` shows it.

    Attributes:
        name: its name in model strings.
        ready: whether it can be used as things are.
        state: why, or what is missing. Never a key.
        where: where its models are.
        speaks: the wire format.
    """

    name: str
    ready: bool
    state: str
    where: str
    speaks: str


def providers() -> list[Provider]:
    """Every provider that a model string can name."""
    from graphflow.providers.commands.table import COMMANDS

    found = [_local()]
    found += [_endpoint(endpoint) for endpoint in ENDPOINTS.values()]
    found += [Provider(c.name, c.found() is not None, c.state(), c.program, c.speaks) for c in COMMANDS.values()]
    known = {provider.name for provider in found}
    for point in entry_points(group="graphflow.providers"):
        if point.name not in known and point.name not in PROVIDERS:
            found.append(Provider(point.name, True, "installed", point.value, "its own"))
    return found


def _local() -> Provider:
    engine = find_spec("xllamacpp") is not None
    here = [name for name, known in weights.KNOWN.items() if weights.path_of(known).is_file()]
    state = f"weights here: {', '.join(here) or 'none yet'}" if engine else "needs the extra 'local'"
    return Provider("local", engine, state, "this process", "-")


def _endpoint(endpoint: Endpoint) -> Provider:
    own = os.environ.get(endpoint.base_variable, "")
    held = next((name for name in endpoint.key_variables if os.environ.get(name, "").strip()), None)
    if held:
        state = f"{held} is set"
    elif endpoint.needs_key:
        state = f"{' or '.join(endpoint.key_variables)} is not set ({endpoint.key_page})"
    else:
        state = "needs no key" if endpoint.base_url or own else f"set {endpoint.base_variable}"
    where = own or endpoint.base_url or "any server"
    ready = bool(held) or (not endpoint.needs_key and bool(endpoint.base_url or own))
    if ready and not held and not listens(where):
        ready, state = False, "nothing listens there"
    return Provider(endpoint.name, ready, state, where.split("@")[-1], endpoint.wire.name)


async def offered(provider: str) -> list[str]:
    """The models that a provider says it has, as model strings, sorted.

    Raises:
        UnknownProvider: it has no list to ask for.
        ModelError: the list could not be had.
    """
    endpoint = ENDPOINTS.get(provider)
    if endpoint is None:
        if provider == "local":
            return [f"local:{name}" for name in weights.KNOWN]
        raise UnknownProvider(f"{provider!r} has no list of models to ask for; there is one of: {', '.join(ENDPOINTS)}")
    model = open_at(endpoint, "any")
    key = model.keys.take()
    headers = dict(model._call(b"", key).headers)
    url = model.base_url + endpoint.wire.listing
    status, answered, body = await get(url, headers, provider, Timeouts(connect_s=10, first_s=30))
    data = read_body(body)
    if not 200 <= status < 300:
        raise model._told(fault(provider, status, data, answered), key)
    rows = (data.get("data") or data.get("models")) if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise MalformedReply(f"{provider}: no list of models: {str(data)[:200]}", provider=provider)
    names = [str(row.get("id") or row.get("name") or "") for row in rows if isinstance(row, dict)]
    return sorted(f"{provider}:{name.removeprefix('models/')}" for name in names if name)


def listens(address: str) -> bool:
    """Whether somebody listens at an address of this machine; others are not tried."""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return True
    try:
        with socket.create_connection((parts.hostname, parts.port or 80), timeout=0.2):
            return True
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Ping:
    """What one tiny call showed: the reply, seconds to its first piece and in all."""

    reply: Reply
    first_s: float
    whole_s: float


async def ping(named: str) -> Ping:
    """Asks a model to say one word.

    Raises:
        ModelError: it could not; the kind tells why.
    """
    model = open_model(named)
    began = time.perf_counter()
    first: list[float] = []

    def listen(event: object) -> None:
        if not first and isinstance(event, (TextDelta, ThinkingDelta)):
            first.append(time.perf_counter() - began)

    reply = await gather(model.stream(Request((UserTurn("Say OK."),), max_tokens=16)), listen)
    whole = time.perf_counter() - began
    return Ping(reply, first[0] if first else whole, whole)
