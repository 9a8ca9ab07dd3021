"""Fields of replies that several wire formats share: why they ended, their usage, their log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphflow.model.seam import Finish, Likely, LogprobsDelta, ModelEvent, UsageDelta
from graphflow.providers.faults import broken_answer


def finish_of(
    table: Mapping[str, Finish], raw: str | None, provider: str, explanation: str = ""
) -> Finish:
    """Why a reply ended, by the wire's table. One that never said why, and came to its terminal event, is whole.

    Raises:
        ModelError: the table does not know it: what broke off must not pass for an answer.
    """
    if not raw:
        return "other"
    finish = table.get(raw)
    if finish is None:
        raise broken_answer(provider, raw, explanation)
    return finish


def later_usage(before: UsageDelta | None, now: UsageDelta) -> UsageDelta:
    """The usage that counts after another one has come: the later, unless it is all zeros, which some gateways end with."""
    is_counted = now.input_tokens or now.output_tokens
    return now if is_counted or before is None else before


def read_logprobs(places: Any) -> list[ModelEvent]:
    """How likely tokens were; chat completions, Responses and Ollama spell it the same way."""
    tokens: list[Likely] = []
    for place in places or ():
        token = place["token"]
        top: dict[str, float] = {}
        for other in place.get("top_logprobs") or ():
            top[other["token"]] = other["logprob"]
        own = place.get("logprob")
        if own is not None:
            top.setdefault(token, own)  # a schema may force what is not among the likeliest
        tokens.append(Likely(token, tuple(top.items())))
    if not tokens:
        return []
    return [LogprobsDelta(tuple(tokens))]
