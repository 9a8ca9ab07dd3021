"""What models are in reach: providers, whether their keys are set, weights, tools; and one tiny call to see that it works."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from graphflow.errors import MalformedReply, UnknownProvider
from graphflow.model.reply import Reply, gather
from graphflow.model.resolve import open_model
from graphflow.model.seam import Request, TextDelta, ThinkingDelta
from graphflow.model.turns import UserTurn
from graphflow.plugins.seams import PROVIDERS as PROVIDER_SEAM
from graphflow.providers.embedded import weights
from graphflow.providers.endpoint import Endpoint
from graphflow.providers.endpoints import ENDPOINTS, open_at
from graphflow.providers.faults import fault, read_body
from graphflow.providers.http import Timeouts, get

if TYPE_CHECKING:
    from graphflow.providers.commands.command import CommandLineTool
    from graphflow.providers.http_model import HttpModel


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
    found += [_command(command) for command in COMMANDS.values()]
    found += _STAND_INS
    for plugin in PROVIDER_SEAM.plugins():
        is_ready = plugin.state == "ready"
        state = "a plug-in" if is_ready else plugin.error
        found.append(Provider(plugin.name, is_ready, state, plugin.distribution, "its own"))
    return found


_STAND_INS = (
    Provider("mock", True, "'mock:echo' says back what it is told", "this process", "-"),
    Provider("replay", True, "'replay:case.jsonl' answers from a recording", "this process", "-"),
)


def _local() -> Provider:
    if find_spec("xllamacpp") is None:
        return Provider("local", False, "needs the extra 'local'", "this process", "-")
    present: list[str] = []
    for name, known in weights.KNOWN.items():
        if weights.path_of(known).is_file():
            present.append(name)
    names = ", ".join(present) or "none yet"
    return Provider("local", True, f"weights here: {names}", "this process", "-")


def _command(command: CommandLineTool) -> Provider:
    is_ready = command.path() is not None
    return Provider(command.name, is_ready, command.state(), command.program, command.speaks)


def _endpoint(endpoint: Endpoint) -> Provider:
    address = os.environ.get(endpoint.base_variable, "") or endpoint.base_url
    is_ready, state = _readiness(endpoint, address)
    where = address or "any server"
    # An address of a variable may hold one: it is not shown.
    without_password = where.split("@")[-1]
    return Provider(endpoint.name, is_ready, state, without_password, endpoint.wire.name)


def _readiness(endpoint: Endpoint, address: str) -> tuple[bool, str]:
    """Whether an endpoint can be used as things are, and why, or what is missing."""
    for name in endpoint.key_variables:
        if os.environ.get(name, "").strip():
            return True, f"{name} is set"
    if endpoint.needs_key:
        variables = " or ".join(endpoint.key_variables)
        return False, f"{variables} is not set ({endpoint.key_page})"
    if not address:
        return False, f"set {endpoint.base_variable}"
    if not listens(address):
        return False, "nothing listens there"
    return True, "needs no key"


async def offered_models(provider: str) -> list[str]:
    """The models that a provider says it has, as model strings, sorted.

    Raises:
        UnknownProvider: it has no list to ask for.
        ModelError: the list could not be had.
    """
    if provider == "local":
        return [f"local:{name}" for name in weights.models()]
    endpoint = ENDPOINTS.get(provider)
    if endpoint is None:
        known = ", ".join(ENDPOINTS)
        raise UnknownProvider(f"{provider!r} has no list of models; these have one: {known}")
    model = open_at(endpoint, "any")
    names: list[str] = []
    listing = await _listing(model)
    for row in _rows(listing, provider):
        if not isinstance(row, dict):
            continue
        name = _model_name(row)
        if name:
            names.append(f"{provider}:{name}")
    return sorted(names)


def _rows(listing: object, provider: str) -> list[object]:
    rows = listing
    if isinstance(listing, dict):
        rows = listing.get("data") or listing.get("models")
    if isinstance(rows, list):
        return rows
    start = str(listing)[:200]
    raise MalformedReply(f"{provider}: not a list of models: {start}", provider=provider)


async def _listing(model: HttpModel) -> object:
    """What an endpoint answers when it is asked for its models.

    Raises:
        ModelError: it did not answer, or refused to.
    """
    endpoint = model.endpoint
    key = model.keys.take()
    headers = dict(model.call(b"", key).headers)
    url = model.base_url + endpoint.wire.listing
    timeouts = Timeouts(connect_s=10, first_s=30)
    status, answered, body = await get(url, headers, endpoint.name, timeouts)
    data: object = read_body(body)
    if not 200 <= status < 300:
        raise model.explain(fault(endpoint.name, status, data, answered), key)
    return data


def _model_name(row: Mapping[str, object]) -> str:
    """The name in a row of a list of models: OpenAI and Anthropic say `id`, Gemini "models/..." as `name`."""
    name = str(row.get("id") or row.get("name") or "")
    return name.removeprefix("models/")


def listens(address: str) -> bool:
    """Whether somebody listens at an address of this machine; others are not tried."""
    url = address
    # Without a scheme, urlsplit would take the host for a path.
    if "://" not in url:
        url = f"http://{address}"
    parts = urlsplit(url)
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
    request = Request((UserTurn("Say OK."),), max_tokens=16)  # a tiny answer: this is paid for, too
    started = time.perf_counter()
    first_s: float | None = None

    def listen(event: object) -> None:
        nonlocal first_s
        if first_s is None and isinstance(event, (TextDelta, ThinkingDelta)):
            first_s = time.perf_counter() - started

    reply = await gather(model.stream(request), listen)
    whole_s = time.perf_counter() - started
    if first_s is None:
        first_s = whole_s
    return Ping(reply, first_s, whole_s)
