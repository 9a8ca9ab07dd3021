"""What a fork has in common with the run that it was made of."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    at: tuple[str, ...]
    taken_over: tuple[str, ...]
    left_out: tuple[str, ...]
    ran: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        where = ", ".join(self.at) or "its end"
        return (
            f"a fork of {self.parent} at {where}: {len(self.taken_over)} taken over, "
            f"{len(self.left_out)} left out, {len(self.ran)} ran: {', '.join(self.ran) or 'nothing'}"
        )
