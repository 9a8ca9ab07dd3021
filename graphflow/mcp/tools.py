"""A tool of a server as a node: what it takes is what the server says that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from pydantic_core import from_json

from graphflow.access import NO_ACCESS, Access
from graphflow.declaration.context import Context
from graphflow.declaration.node import Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import ArgumentsInvalid, ServerFailed
from graphflow.events import ToolPartial
from graphflow.kinds.numbers import NO_NUMBER, holds_no_number
from graphflow.kinds.wire_names import wire_name
from graphflow.limits import Meter
from graphflow.mcp.content import answer_of
from graphflow.mcp.elicitation import question_of
from graphflow.mcp.schema import check_schema, problems_of
from graphflow.model.seam import ToolSpec
from graphflow.policy import EFFECTS, Effect, check_effects
from graphflow.trace_context import outgoing

if TYPE_CHECKING:
    from mcp_types import Tool

    from graphflow.mcp.connection import Connection

MAX_DESCRIPTION = 4_000
"""Characters of a description that a model is shown."""
MAX_PROBLEMS = 2_000
"""Characters of what is wrong with arguments that a model is shown."""


class ServerTool(Node[Any, Any]):
    """One tool of one server.

    Attributes:
        tool: its name at the server.
        spec: what a model is shown: the server's own schema.
        connection: what it is called through.
    """

    kind: ClassVar[str] = "tool"
    meter: ClassVar[Meter | None] = "tool_calls"
    undeclared: bool = False
    access: Access | None = NO_ACCESS
    untrusted: bool = True
    tool: str
    spec: ToolSpec
    connection: Connection

    def __init__(
        self,
        name: str,
        listed: Tool,
        connection: Connection,
        effects: Sequence[Effect],
        **options: Unpack[NodeOptions],
    ) -> None:
        description = listed.description or listed.title
        if not description:
            description = f"{listed.name} of {connection.server.name}"
        description = description[:MAX_DESCRIPTION]
        self._declare(
            name, ports=(Port("arguments", Any),), output=Any, description=description, **options
        )
        self._set(
            tool=listed.name,
            spec=ToolSpec(name, description, listed.input_schema),
            connection=connection,
            effects=check_effects(f"tool {name!r}", effects),
        )
        _check(name, listed.input_schema)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name here, the name at its server (without a prefix), and its server's: a policy may use any of them."""
        names = (*super().names, self.tool, *self.connection.server.names)
        return tuple(dict.fromkeys(names))

    def read(self, given: object) -> dict[str, Any]:
        """Arguments as the server's schema wants them, from JSON text or a mapping.

        Raises:
            ArgumentsInvalid: they do not fit; the text names each field.
        """
        arguments = self._mapping(given)
        if holds_no_number(arguments):
            raise ArgumentsInvalid(f"arguments of {self.name!r} do not fit: {NO_NUMBER}")
        try:
            problems = problems_of(self.spec.parameters, arguments)
        except ValueError as error:
            raise ArgumentsInvalid(f"the server's schema of {self.name!r}: {error}") from None
        if problems:
            text = "; ".join(problems)[:MAX_PROBLEMS]
            raise ArgumentsInvalid(f"arguments of {self.name!r} do not fit: {text}")
        return arguments

    def _mapping(self, given: object) -> dict[str, Any]:
        if isinstance(given, str):
            try:
                given = from_json(given or "{}")
            except ValueError as error:
                raise ArgumentsInvalid(
                    f"arguments of {self.name!r} are not valid JSON: {error}"
                ) from None
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            kind = type(given).__name__
            raise ArgumentsInvalid(f"arguments of {self.name!r} are {kind}; give an object")
        return dict(given)

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Any:
        """Calls the server; those who listen hear of its progress."""
        frame = ctx.frame

        async def note(progress: float, total: float | None, message: str | None) -> None:
            piece = {"done": progress, "total": total, "message": message}
            event = ToolPartial(frame.clock(), frame.number, ctx.activation, self.name, piece)
            frame.tell(event)

        arguments = self.read(next(iter(inputs.values())))
        # A server that nobody listens to need not report.
        listener = note if frame.observed else None
        ask = question_of(ctx) if self.connection.can_wait else None
        result = await self.connection.call(self.tool, arguments, listener, ask, outgoing())
        return answer_of(result, ctx)


def _check(name: str, schema: dict[str, Any]) -> None:
    """Refuses what is not a JSON schema of an object.

    Raises:
        ServerFailed: why it is not.
    """
    try:
        check_schema(schema)
    except ValueError as error:
        raise ServerFailed(
            f"the server's schema of {name!r} is not a JSON schema: {error}; leave the tool out: exclude=[{name!r}]"
        ) from None
    if schema.get("type", "object") != "object":
        raise ServerFailed(
            f"the server's schema of {name!r} is not that of an object; exclude=[{name!r}] leaves it out"
        )


def node_name(prefix: str, tool: str) -> str:
    """The name of a server's tool in a graph: letters, digits, _ and -, at most 64, so that users and models see the same."""
    return wire_name(f"{prefix}{tool}")


def chosen(tool: str, include: Sequence[str] | None, exclude: Sequence[str]) -> bool:
    """Whether a server's tool is offered."""
    if any(fnmatchcase(tool, pattern) for pattern in exclude):
        return False
    return include is None or any(fnmatchcase(tool, pattern) for pattern in include)


def wants_a_task(listed: Tool) -> bool:
    """Whether a server's tool can only be called as a task: it refuses a plain call, so it is not offered.

    Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks (Tool-Level Negotiation).
    """
    execution = getattr(listed, "execution", None)
    return getattr(execution, "task_support", None) == "required"


def effects_of(listed: Tool, hints_trusted: bool) -> Sequence[Effect]:
    """What a tool may do: anything, unless its server's hints are trusted.

    Source: https://modelcontextprotocol.io/specification/2025-11-25/schema#toolannotations: hints are not to be relied on
    unless the server is trusted; left out, they mean that a tool writes and reaches out.
    """
    hints = listed.annotations
    if not hints_trusted or hints is None:
        return EFFECTS
    effects: list[Effect] = ["reads"]
    # Only an explicit hint takes an effect away; a hint that is left out counts as the worst.
    if not hints.read_only_hint:
        effects += ["writes", "executes"]
    if hints.open_world_hint is not False:
        effects.append("network")
    return effects
