"""A history that a run is given: shown to those whom a conversation would be shown to, and kept by nobody but the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphflow.compaction.omission import NOTHING_LEFT_OUT, LeftOut
from graphflow.events import RunStarted
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import to_text
from graphflow.model.conversation import Remembers
from graphflow.model.turns import AssistantTurn, Turn, UserTurn
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.authors import ActivationId, outcome_of, talkers
from graphflow.runtime.run_record import RunRecord


class GivenHistory:
    """The turns that a run was given.

    Args:
        graph: what the run walks.
        turns: as they can be shown.
    """

    def __init__(self, graph: AnyGraph, turns: Sequence[Turn]) -> None:
        self.turns = tuple(turns)
        self.talkers = talkers(graph)
        self.key: str | None = None
        """It is not a conversation."""
        self.mended: tuple[str, ...] = ()
        """What was mended in them."""
        self.last_place = ""
        """Who has answered last: turns tell of no places."""
        self.turns_said: dict[ActivationId, Sequence[Turn]] = {}

    def shown(self, place: str, way: Remembers | None) -> Sequence[Turn]:
        """What an agent at a place is shown of it; it tells of no places, so nobody knows what is whose own."""
        if way is None:
            way = "talk" if place in self.talkers else "nothing"
        return self.turns if way == "talk" else ()

    async def artifact(self, digest: str) -> bytes | None:
        """Of earlier runs nobody knows what they have kept."""
        return None

    def left_out(self, place: str, way: Remembers | None) -> LeftOut:
        """What was left out of it before: nobody knows."""
        return NOTHING_LEFT_OUT


def history_of(run: RunRecord[Any]) -> list[Turn]:
    """What was said up to the end of a run, as those who answer are shown it."""
    begun = [fact for fact in run.facts if isinstance(fact, RunStarted)]
    if not begun:
        return []
    before = run.turns_before
    turns: list[Turn] = []
    own: Sequence[Turn] = ()
    if before is not None:
        outcome = outcome_of(run)
        turns += before.shown(outcome.by, "talk")
        for activation, place in outcome.speakers.items():
            if place == outcome.by:
                own = before.turns_said.get(activation, ())
    if run.status != "completed":
        return turns
    return [*turns, *(own or (turn_of(begun[0].input), AssistantTurn(to_text(run.output))))]


def turn_of(message: object) -> UserTurn:
    """A message as a model is shown it where no template says otherwise."""
    media = () if type(message) is str else tuple(media_in(message))
    if not media:
        return UserTurn(to_text(message))
    if isinstance(message, Media):
        return UserTurn(media)
    return UserTurn((to_text(without_media(message)), *media))
