"""Context policies: what of a long conversation a model is still shown.

    Window       old results of tools are masked first, then whole exchanges are left out, the oldest first
    HeadTail     the same, but the first exchanges stay
    Summarise    the same, and a model sums up what is left out

    units      what belongs together: an exchange; calls with their results
    tokens     about how many tokens turns are
    room       how many a model can read
    sizes    the sizes of a growing list of turns
    omission   what is left out of it
    summaries  what is left out as words, in pieces
    plan       what has to be left out, so that it fits

All but the asking is pure: from turns and numbers to an omission. A policy never changes what was said, only what is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow._faces import face

if TYPE_CHECKING:
    from graphflow.compaction.omission import Omission as Omission
    from graphflow.compaction.policies import HeadTail as HeadTail
    from graphflow.compaction.policies import Summarise as Summarise
    from graphflow.compaction.policies import Window as Window
    from graphflow.compaction.room import Room as Room

__getattr__ = face(__name__, ("omission", "policies", "room"))
