"""What it comes to that a conversation was compacted: how much an agent was shown of it, and is shown from now on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphflow.compaction.omission import WHOLE, LeftOut, Omission
from graphflow.compaction.plan import cut_off_at
from graphflow.compaction.policies import DEFAULT, Summarise, Window
from graphflow.compaction.shown import shown_turns
from graphflow.compaction.sizes import TurnSizes
from graphflow.compaction.tokens import tokens_of_text, tokens_of_turn
from graphflow.compaction.units import Layout
from graphflow.declaration.node import AnyNode
from graphflow.journal.exchange_codec import Exchange, left_out_of, turns_of
from graphflow.kinds.agent import AgentNode
from graphflow.kinds.summed_up import TOKENS_A_WORD
from graphflow.model.turns import Turn, UserTurn


@dataclass(frozen=True, slots=True)
class ShownSize:
    """How much is shown of a conversation.

    Attributes:
        turns: how many turns.
        tokens: about how many tokens these are.
    """

    turns: int
    tokens: int


@dataclass(frozen=True, slots=True)
class CompactedView:
    """What an agent was shown of a conversation, and is from now on.

    Attributes:
        place: where the agent stands: names of graphs, nodes and callers.
        before: what it was shown.
        after: what it is shown at most from now on; of a summary that is still to be made, what it may have at most.
        sums_up: whether a model is asked for a summary, as part of the next run.
    """

    place: str
    before: ShownSize
    after: ShownSize
    sums_up: bool


@dataclass(frozen=True, slots=True)
class Compacted:
    """What came of compacting a conversation.

    Attributes:
        exchanges: how many exchanges are left out that were shown until now.
        shown: how many are still shown as they are, the last ones.
        views: what that means for each agent that is shown the conversation; a function as a context policy chooses anew from
            what is still shown.
    """

    exchanges: int
    shown: int
    views: tuple[CompactedView, ...]


def compacted_by(
    exchanges: Sequence[Exchange], before: int, cutoff: int, nodes: Mapping[str, AnyNode]
) -> Compacted:
    """What came of it that a conversation was cut.

    Args:
        exchanges: what was said.
        before: the number of the last exchange that was not shown as it is until now.
        cutoff: the same from now on.
        nodes: those that are shown what was said, by their places.
    """
    views: list[CompactedView] = []
    for place, node in nodes.items():
        if not isinstance(node, AgentNode):
            continue
        way = node.remembers or "talk"
        turns = turns_of(exchanges, place, way)
        earlier = left_out_of(exchanges, before, place, way)
        later = left_out_of(exchanges, cutoff, place, way)
        views.append(_view(place, node, turns, earlier, later))
    shown = sum(exchange.number > cutoff for exchange in exchanges)
    left_out = sum(before < exchange.number <= cutoff for exchange in exchanges)
    return Compacted(left_out, shown, tuple(views))


def _view(
    place: str,
    agent: AgentNode[object, object],
    turns: Sequence[Turn],
    before: LeftOut,
    after: LeftOut,
) -> CompactedView:
    policy = agent.context or DEFAULT
    # What a function chooses is known when it is asked.
    if not isinstance(policy, Window):
        return CompactedView(
            place, _size(turns[before.cutoff :]), _size(turns[after.cutoff :]), False
        )
    sizes = TurnSizes(Layout(0, len(turns)), policy.is_pinned, policy.head)
    all_turns = [*turns, UserTurn("")]  # a message is always shown
    sizes.extend(all_turns)
    earlier = _omission(sizes, before)
    later = _omission(sizes, after)
    size_before = _size_of(sizes, all_turns, earlier)
    size_after = _size_of(sizes, all_turns, later)
    # Pinned turns are still shown: nobody has to sum them up.
    gone = range(earlier.exchanges, later.exchanges)
    sums_up = isinstance(policy, Summarise) and any(each not in sizes.pins for each in gone)
    if isinstance(policy, Summarise) and sums_up:
        known = tokens_of_text(later.summary)
        most = size_after.tokens - known + policy.words * TOKENS_A_WORD
        turns_more = 0 if later.summary else 2
        size_after = ShownSize(size_after.turns + turns_more, most)
    return CompactedView(place, size_before, size_after, sums_up)


def _omission(sizes: TurnSizes, left_out: LeftOut) -> Omission:
    omission = WHOLE
    if left_out.known:
        kept = Omission.read(left_out.known)
        omission = Omission(
            sizes.unit_from(kept.exchanges), 0, kept.results, kept.summary, kept.brief
        )
    if left_out.cutoff:
        omission = cut_off_at(sizes, omission, left_out.cutoff)
    return omission


def _size_of(sizes: TurnSizes, turns: Sequence[Turn], omission: Omission) -> ShownSize:
    shown = shown_turns(sizes, turns, omission)
    return _size(shown[:-1])


def _size(turns: Sequence[Turn]) -> ShownSize:
    return ShownSize(len(turns), sum(map(tokens_of_turn, turns)))
