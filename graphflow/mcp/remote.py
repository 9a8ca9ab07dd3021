"""What a connection has to know of a server. `MCP`, which declares one, is it; it stands above all that reaches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from graphflow.declaration.node import AnyNode
from graphflow.mcp.elicitation import Ask

if TYPE_CHECKING:
    from mcp_types import Tool


class RemoteServer(Protocol):
    """A server as it was declared; `MCP` says what each means."""

    @property
    def name(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def command(self) -> tuple[str, ...]: ...
    @property
    def url(self) -> str: ...
    @property
    def cwd(self) -> str | None: ...
    @property
    def ask(self) -> Ask | None: ...
    @property
    def connect_s(self) -> float: ...
    @property
    def handshake(self) -> bool: ...
    @property
    def where_it_is(self) -> str: ...

    def environment(self) -> dict[str, str]: ...
    def own_headers(self) -> dict[str, str]: ...
    # Any: it stands above.
    def tools_of(self, connection: Any, listed: Sequence[Tool]) -> tuple[AnyNode, ...]: ...
