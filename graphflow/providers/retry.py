"""When a failed request is sent again, and how long before."""

from __future__ import annotations

import random
from dataclasses import dataclass

from graphflow._faces import former_name
from graphflow.errors import DeclarationError, ModelError
from graphflow.keywords import strict_keywords


@strict_keywords
@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is tried, and how long between two tries.

    Only errors that say they are `retryable` are worth another try, and only while nothing of the answer has been
    delivered; with `restart` also after that: the answer then begins again.

    Attributes:
        attempts: tries in all, the first included.
        wait_s: seconds before the second try, before jitter.
        factor: what the wait is multiplied with for each further try.
        max_wait_s: seconds of one wait at most, unless the provider asks for more.
        total_s: seconds of all waits at most; a provider that asks for more than what is left gets no further try.
        restart: whether an answer that broke off half way is begun again.
    """

    attempts: int = 4
    wait_s: float = 0.5
    factor: float = 2.0
    max_wait_s: float = 20.0
    total_s: float = 120.0
    restart: bool = False
    most_s = former_name("most_s", "max_wait_s")

    def __post_init__(self) -> None:
        waits = (self.wait_s, self.max_wait_s, self.total_s)
        counts = (self.attempts, self.factor)
        # NaN is neither.
        is_valid = all(wait >= 0 for wait in waits) and all(count >= 1 for count in counts)
        if not is_valid:
            raise DeclarationError(
                f"{self!r}: attempts and factor must be at least 1, waits at least 0 s"
            )

    def wait_before(self, attempt: int, error: ModelError, waited_s: float) -> float | None:
        """Seconds to wait before try number `attempt` (2, 3, ...), or None if there is none.

        The wait is between half and all of the exponential one ("equal jitter", AWS Architecture Blog, "Exponential
        Backoff And Jitter"); what the provider asks for is kept to, and a little more, so that callers spread out.
        """
        if attempt > self.attempts or not error.retryable:
            return None
        jitter = random.random()
        if error.retry_after is not None:
            wait_s = error.retry_after * (1 + 0.1 * jitter)
        else:
            doublings = min(attempt - 2, 64)  # a larger power does not fit into a float
            longest_s = min(self.max_wait_s, self.wait_s * self.factor**doublings)
            wait_s = longest_s * (0.5 + 0.5 * jitter)
        return wait_s if waited_s + wait_s <= self.total_s else None
