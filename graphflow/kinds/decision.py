"""How a router that has no rule decides: by guards, by a model, by what a model finds likely, by similarity.

Each way gives a decision, or abstains: none of the labels is good enough, and somebody else (a later stage, `otherwise`) is
to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from graphflow.declaration.node import Context
from graphflow.errors import OutputInvalid
from graphflow.kinds.model_call import ask, declined
from graphflow.kinds.output import read_output
from graphflow.model.reply import Reply
from graphflow.model.resolve import open_embedder
from graphflow.model.seam import Embedder, Likely, Model, Request
from graphflow.model.turns import AssistantTurn, Turn, UserTurn

if TYPE_CHECKING:
    from graphflow.kinds.router import Router

CONTENT_FREE = ("N/A", "[MASK]")
"""Messages that say nothing: what a model answers to them is its bias (Zhao et al. 2021, arXiv:2102.09690, section 5)."""
TOP = 20
"""Of how many tokens the probability is asked for: as many as APIs tell."""
KEPT = 256
"""Biases that are remembered."""

Vector = list[float]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was chosen, and why.

    Attributes:
        choice: the label, or the message of a rule; None = abstained.
        reason: why.
        scores: what each label had, where there are scores: a cosine, or a probability.
    """

    choice: Any
    reason: str
    scores: Mapping[str, float] = field(default_factory=dict)


def by_guards(guards: Mapping[str, Callable[[Any], bool]], message: Any) -> Decision:
    """The label of the first guard that holds."""
    for label, holds in guards.items():
        if holds(message):
            return Decision(label, f"guard of {label!r}")
    return Decision(None, "no guard holds")


# -- a model -----------------------------------------------------------------------------------------------------------
async def by_model(router: Router[Any, Any], text: str, ctx: Context) -> Decision:
    """The label a model names; asked once more if it names none."""
    model: Model = ctx.frame.model(router)
    label = ""
    turns: list[Turn] = [UserTurn(text)]
    for attempt in (1, 2):
        reply = await _asked(router, model, turns, ctx)
        likely = label_probabilities(reply.text, reply.logprobs, list(router.labels))
        if likely is not None:
            return await _calibrated(router, model, likely, ctx)
        try:
            answer = read_output(reply.text, dict[str, str], False)
        except OutputInvalid:
            answer = {"label": reply.text.strip()}
        label = answer.get("label", "")
        if label in router.labels:
            silent = ", which told no probabilities" if router.probabilities else ""
            return Decision(label, answer.get("reason") or f"model {model.name}{silent}")
        if attempt == 1:
            correction = f"{label!r} is no label. Choose one of: {', '.join(router.labels)}"
            said = [AssistantTurn(reply.text)] if reply.text.strip() else []
            turns += [*said, UserTurn(correction)]
    return Decision(None, f"model {model.name} chose {label!r}, which is none of {', '.join(router.labels)}")


def _listed(labels: Mapping[str, str]) -> str:
    return "\n".join(f"- {label}" + (f": {about}" if about else "") for label, about in labels.items())


def _instructions(router: Router[Any, Any]) -> str:
    wanted = '{"reason": ..., "label": ...}, the reason in a few words' if router.explain else '{"label": ...}'
    return f"Choose the label that fits the message best. The labels are:\n{_listed(router.labels)}\nAnswer with JSON: {wanted}"


def _schema(router: Router[Any, Any]) -> dict[str, Any]:
    label = {"label": {"type": "string", "enum": list(router.labels)}}
    fields = {"reason": {"type": "string", "maxLength": 200}, **label} if router.explain else label
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


async def _asked(router: Router[Any, Any], model: Model, turns: Sequence[Turn], ctx: Context) -> Reply:
    most = min(TOP, getattr(model, "top_logprobs", 0)) if router.probabilities else 0
    temperature = 0 if most else None
    request = Request(
        tuple(turns), _instructions(router), output_schema=_schema(router), temperature=temperature, top_logprobs=most
    )
    reply = await ask(model, request, ctx)
    if (error := declined(reply, model, ctx)) is not None:
        raise error
    return reply


# -- what a model finds likely -----------------------------------------------------------------------------------------
_biases: dict[tuple[str, str], list[float]] = {}


async def _calibrated(router: Router[Any, Any], model: Model, likely: list[float], ctx: Context) -> Decision:
    """The likeliest label, with the model's bias for some of them divided out."""
    bias = await _bias(router, model, ctx)
    weighed = [p / b for p, b in zip(likely, bias, strict=True)]
    scores = {label: weight / sum(weighed) for label, weight in zip(router.labels, weighed, strict=True)}
    best = max(scores, key=lambda label: scores[label])
    rounded = {label: round(score, 4) for label, score in scores.items()}
    said = f"model {model.name} finds {best!r} likeliest ({scores[best]:.2f}, calibrated)"
    if router.threshold is not None and router.may_abstain and scores[best] < router.threshold:
        return Decision(None, f"{said}, and that is below {router.threshold:g}", rounded)
    return Decision(best, said, rounded)


async def _bias(router: Router[Any, Any], model: Model, ctx: Context) -> list[float]:
    """What the model says to messages that favour no label; asked once a process."""
    labels = list(router.labels)
    key = (model.name, _instructions(router))
    if key not in _biases:
        replies = [await _asked(router, model, [UserTurn(message)], ctx) for message in balanced(router.labels)]
        said = [label_probabilities(reply.text, reply.logprobs, labels) for reply in replies]
        known = [probabilities for probabilities in said if probabilities is not None] or [[1.0] * len(labels)]
        if len(_biases) >= KEPT:
            _biases.pop(next(iter(_biases)))
        _biases[key] = [sum(column) / len(known) for column in zip(*known, strict=True)]
    return _biases[key]


def balanced(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Messages that together favour no label: one for each, its description; where those are missing, some that say nothing.

    The mean over them would be the same for all labels, were the model not biased (Zhou et al. 2023, Batch Calibration,
    arXiv:2309.17249).
    """
    return tuple(labels.values()) if all(labels.values()) else CONTENT_FREE


def label_probabilities(text: str, places: Sequence[Likely], labels: Sequence[str]) -> list[float] | None:
    """The probability of each label, read where the answer `{"label": ...}` names one; None if that is nowhere.

    Tokens that could have stood there are followed as far as they spell the same as the answer. What is not among the
    likeliest is taken to be as likely as the last of them.
    """
    named = re.search(r'"label"\s*:\s*"', text)
    if named is None or not places:
        return None
    said = "".join(place.token for place in places)
    lead = max(0, said.find(text))  # a model may have put a fence before its answer, which the tokens still have
    start = lead + named.end()
    spelled = {label: f'{said[:lead]}{text[: named.end()]}{label}"' for label in labels}
    found = dict.fromkeys(labels, 0.0)
    weight, before, floor = 1.0, "", 1.0
    for place in places:
        after = before + place.token
        if len(after) > start:
            floor = min(floor, weight * math.exp(min((logprob for _, logprob in place.top), default=0.0)))
            onward = 0.0
            for token, logprob in place.top:
                fits = [label for label in labels if _agree(before + token, spelled[label], start)]
                if len(fits) > 1 and token == place.token:
                    onward = math.exp(logprob)
                    continue
                for label in fits:
                    found[label] += weight * math.exp(logprob) / len(fits)
            if not onward:
                break
            weight *= onward
        before = after
    if not any(found.values()):
        return None
    return [probability or floor for probability in found.values()]


def _agree(written: str, spelled: str, start: int) -> bool:
    """Whether what is written so far names the label, or may yet."""
    shorter = min(len(written), len(spelled))
    return len(written) > start and written[:shorter] == spelled[:shorter]


# -- similarity --------------------------------------------------------------------------------------------------------
async def by_similarity(router: Router[Any, Any], text: str) -> Decision:
    """The label whose examples are nearest in meaning; abstains below the threshold."""
    embedder = open_embedder(router.embedder) if isinstance(router.embedder, str) else router.embedder
    centres = await _centres(embedder, router.examples, router.labels)
    [vector] = await embedder.embed([text])
    scores = {label: sum(a * b for a, b in zip(vector, centre, strict=True)) for label, centre in centres.items()}
    best = max(scores, key=lambda label: scores[label])
    rounded = {label: round(score, 4) for label, score in scores.items()}
    if router.threshold is not None and router.may_abstain and scores[best] < router.threshold:
        return Decision(None, f"no label is as near as {router.threshold:g} (nearest: {best})", rounded)
    return Decision(best, f"nearest to the examples of {best!r} ({embedder.name})", rounded)


_known: WeakKeyDictionary[Any, dict[Any, dict[str, Vector]]] = WeakKeyDictionary()
"""Centres per embedder and declaration: constants of the two, computed once a process."""


async def _centres(
    embedder: Embedder, examples: Mapping[str, Sequence[str]], labels: Mapping[str, str]
) -> dict[str, Vector]:
    """For each label the normed mean of its examples' vectors and its description's."""
    key = tuple((label, labels.get(label, ""), tuple(texts)) for label, texts in examples.items())
    table = _known.setdefault(embedder, {})
    if key not in table:
        centres: dict[str, Vector] = {}
        for label, about, texts in key:
            vectors = await embedder.embed([*texts, *([about] if about else [])])
            mean = [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
            length = sum(x * x for x in mean) ** 0.5 or 1.0
            centres[label] = [x / length for x in mean]
        table[key] = centres
    return table[key]
