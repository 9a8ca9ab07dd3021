"""Laps: how often the edges that lead back may be taken.

Every edge that leads back is counted, also one for `Failure` or for `LimitReached` itself: a loop that nothing counts
would never end.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.declaration.handoffs import without_turns
from graphflow.errors import LimitExceeded
from graphflow.events import Scope
from graphflow.messages.message import LimitReached
from graphflow.proofs.program import Link, Program, Slot
from graphflow.walk.scope import laps_of
from graphflow.walk.tokens import Sends


def is_used_up(link: Link, scope: Scope, default: int) -> bool:
    """Whether an edge must not be taken again by the token of this scope; `default` holds for edges without a limit."""
    if link.lap is None:
        return False
    loop, position = link.lap
    laps = laps_of(scope, loop)
    if laps is None:
        return False
    limit = link.limit or default
    return laps[position] >= limit


def with_laps_left(links: Sequence[Link], scope: Scope, default: int) -> list[Link]:
    """Those of the links that may still be taken."""
    return [link for link in links if not is_used_up(link, scope, default)]


def with_limit_reached(
    slot: Slot, links: Sequence[Link], over: Link, message: object, scope: Scope, default: int
) -> Sends | None:
    """What is sent where the laps of the link `over` are used up; None if no way is left."""
    #     critic[Rejected].limit(3) >> writer     the fourth time the message is wrapped in a `LimitReached`
    #     critic[LimitReached] >> editor          and goes this way instead
    instead = with_laps_left(slot.limit_links, scope, default)
    if not instead:
        return None
    value = over.limit or default
    reached = LimitReached(limit="laps", value=value, message=without_turns(message))
    kept = with_laps_left(links, scope, default)
    sends: Sends = [(link, message) for link in kept]
    sends += [(link, reached) for link in instead]
    return sends


def laps_used_up(program: Program, path: tuple[str, ...], link: Link, value: int) -> LimitExceeded:
    """The error of a walk that ends because an edge that leads back was taken as often as it may be."""
    source = program.slots[link.source].name
    target = program.slots[link.target].name
    higher = "Limits(laps=...)"
    if link.limit is not None:
        higher = f"its .limit({value})"
    return LimitExceeded(
        "laps",
        value,
        path,
        f"the edge {source} >> {target} was taken {value} times",
        remedy=f"take {source}[LimitReached] >> a node to go on, or raise {higher}",
    )
