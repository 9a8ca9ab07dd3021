"""Where a provider is: its host, its keys, and which wire format it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from graphflow.providers.structured_output import Flavour, Way
from graphflow.providers.wires.wire import Dialect, Wire


def by_schema(model: str, tools: bool) -> Way:
    """Native schemas for all models."""
    return "schema"


@dataclass(frozen=True)
class Endpoint:
    """One provider.

    Attributes:
        name: the provider's name in model strings.
        base_url: where its API is, without the path of the wire format.
        wire, dialect: the format that it speaks, and how its vendor differs.
        key_variables: environment variables that may hold the key, in order.
        key_page: where keys are made.
        key_header, key_prefix: how the key is sent.
        needs_key: whether nothing goes without one.
        base_variable: an environment variable that says another `base_url`.
        headers: sent with every request.
        flavour: the JSON schema that it takes for answers.
        way: how a model of it is held to a schema, beside tools or without.
        thinking_excludes_tools: whether no tool can be forced while the model thinks.
        free: whether its models cost nothing.
        tells_cost: whether its answers may say what they cost.
        top_logprobs: of how many likeliest tokens its models tell the probability; 0 = of none.
        from_key: headers that follow from the key.
    """

    name: str
    base_url: str
    wire: Wire
    dialect: Dialect = field(default_factory=Dialect)
    key_variables: tuple[str, ...] = ()
    key_page: str = ""
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    needs_key: bool = True
    base_variable: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    flavour: Flavour = "plain"
    way: Callable[[str, bool], Way] = by_schema
    thinking_excludes_tools: bool = False
    free: bool = False
    tells_cost: bool = False
    top_logprobs: int = 0
    from_key: Callable[[str], Mapping[str, str]] | None = None
