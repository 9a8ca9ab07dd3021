"""What a fork has in common with the run that it was made of."""

from __future__ import annotations

from dataclasses import dataclass

NamedPlaces = tuple[str, ...]
"""Names of activations and calls, such as `draft#2`."""


@dataclass(frozen=True, slots=True)
class ForkReport:
    """What a fork has in common with the run that it was made of.

    Attributes:
        parent: that run.
        at: where they part.
        taken_over: the activations and calls that were taken over.
        left_out: those of the parent that were not.
        ran: those that the fork has done itself, in the order in which they ended.
    """

    parent: str
    at: NamedPlaces
    taken_over: NamedPlaces
    left_out: NamedPlaces
    ran: NamedPlaces = ()

    def __str__(self) -> str:
        where = ", ".join(self.at) or "its end"
        ran = ", ".join(self.ran) or "nothing"
        counts = [
            f"{len(self.taken_over)} taken over",
            f"{len(self.left_out)} left out",
            f"{len(self.ran)} ran: {ran}",
        ]
        shares = ", ".join(counts)
        return f"a fork of {self.parent} at {where}: {shares}"
