"""The end of a write that is under way."""

from __future__ import annotations

import asyncio


class Commit(asyncio.Future[None]):
    """Done when rows are kept, or it is known that they are not.

    What is under way cannot be taken back, and whoever began it has to know whether it was done. So it cannot be cancelled:
    a task that is cancelled while it awaits this one is told so when the write has ended, however often it is cancelled.
    """

    def cancel(self, msg: object = None) -> bool:
        """Does nothing. A task that hears so tries again when the write has ended."""
        return False

    def follow(self, work: asyncio.Future[None]) -> None:
        """Ends as another future has ended."""
        error = work.exception()
        if error is None:
            self.set_result(None)
        else:
            self.set_exception(error)
