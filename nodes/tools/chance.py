"""Chance: numbers, choices and identifiers, which models cannot make up well. A run that goes on, or is replayed, gets the same."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from graphflow import Context, ToolError, tool

MOST = 1_000
"""Numbers, items or identifiers of one call."""
Bound = Annotated[int, Field(ge=-(10**15), le=10**15)]
Many = Annotated[int, Field(ge=1, le=MOST)]
Item = Annotated[str, Field(max_length=1_000)]
Items = Annotated[list[Item], Field(min_length=1, max_length=MOST)]


@tool(effects=[])
async def random_numbers(least: Bound, most: Bound, ctx: Context, count: Many = 1) -> list[int]:
    """Draw whole numbers at random, as dice do.

    Args:
        least: the least number there may be.
        most: the greatest number there may be.
        count: how many to draw; each may come more than once.
    """
    if least > most:
        raise ToolError(f"least={least} is more than most={most}; change them round")
    # Of this very call: a run that goes on draws the same, and an equal call draws others.
    source = ctx.random()
    drawn: list[int] = []
    for _ in range(count):
        number = source.randint(least, most)
        drawn.append(number)
    return drawn


@tool(effects=[])
async def pick_at_random(items: Items, ctx: Context, count: Many = 1) -> list[str]:
    """Pick some of several things at random; none twice.

    Args:
        items: what to pick from.
        count: how many to pick; as many as there are puts all of them into a random order.
    """
    there = len(items)
    if count > there:
        raise ToolError(f"there are {there} items, so {count} cannot be picked; pick fewer")
    source = ctx.random()
    return source.sample(items, count)


@tool(effects=[])
async def new_ids(ctx: Context, count: Many = 1) -> list[str]:
    """Make identifiers (UUIDs) that nothing else has.

    Args:
        count: how many to make.
    """
    made: list[str] = []
    for _ in range(count):
        # The next one at each call, and the same ones in a replay.
        identifier = ctx.new_id()
        made.append(str(identifier))
    return made


chance_tools = (random_numbers, pick_at_random, new_ids)
"""All of them, for an agent's `tools`. Nothing here is for keys or passwords: whoever has the record of a run can tell it again."""
