"""How a router that has no rule decides: by guards, by a model, by what a model finds likely, by similarity.

Each way gives a decision, or abstains: none of the labels is good enough, and somebody else (a later stage, `otherwise`) is
to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from graphflow.declaration.arrows import Test
from graphflow.declaration.context import Context
from graphflow.errors import OutputInvalid
from graphflow.kinds.model_call import ask, refusal_in
from graphflow.kinds.output import read_output
from graphflow.model.reply import Reply
from graphflow.model.resolve import open_embedder
from graphflow.model.seam import Embedder, Likely, Model, Request
from graphflow.model.turns import AssistantTurn, Turn, UserTurn

CONTENT_FREE = ("N/A", "[MASK]")
"""Messages that say nothing: what a model answers to them is its bias (Zhao et al. 2021, arXiv:2102.09690, section 5)."""
TOP = 20
"""Of how many tokens the probability is asked for: as many as APIs tell."""
KEPT = 256
"""Biases that are remembered."""
ATTEMPTS = 2
"""How often a model is asked for a label."""

Vector: TypeAlias = list[float]
Vectors: TypeAlias = dict[str, Vector]
"""A vector for each label."""
Scores: TypeAlias = dict[str, float]
"""What each label has."""
Meanings: TypeAlias = Mapping[str, str]
"""Labels, and what each of them means."""
Texts: TypeAlias = Mapping[str, tuple[str, ...]]
"""Texts for each label."""


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


class Criteria(Protocol):
    """What a decision is made by; a `Router` has all of it, and says what each means."""

    labels: Meanings
    examples: Texts
    embedder: Embedder | str
    probabilities: bool
    explain: bool
    may_abstain: bool
    threshold: float | None


def by_guards(guards: Mapping[str, Test], message: object) -> Decision:
    """The label of the first guard that holds."""
    for label, holds in guards.items():
        if holds(message):
            reason = f"guard of {label!r}"
            return Decision(label, reason)
    return Decision(None, "no guard holds")


def by_last_answer(names: Sequence[str], answered: str | None) -> Decision:
    """The node that has answered last, if it is one of those."""
    if answered is None:
        return Decision(None, "nobody has answered before")
    reason = f"{answered!r} has answered last"
    return Decision(answered if answered in names else None, reason)


def _falls_short(score: float, criteria: Criteria) -> bool:
    """Whether somebody else is to decide, because the best label is not good enough."""
    threshold = criteria.threshold
    if threshold is None:
        return False
    return criteria.may_abstain and score < threshold


def _best_of(scores: Scores) -> str:
    score_of = scores.__getitem__
    return max(scores, key=score_of)


def _rounded(scores: Scores) -> Scores:
    rounded: Scores = {}
    for label, score in scores.items():
        rounded[label] = round(score, 4)
    return rounded


# -- a model ---------------------------------------------------------------------------------------
async def by_model(criteria: Criteria, model: Model, text: str, ctx: Context) -> Decision:
    """The label a model names; asked once more if it names none."""
    labels = list(criteria.labels)
    listed = ", ".join(labels)
    who = f"model {model.name}"
    label = ""
    turns: list[Turn] = [UserTurn(text)]
    for _ in range(ATTEMPTS):
        reply = await _ask(criteria, model, turns, ctx)
        written = reply.text
        likely = label_probabilities(written, reply.logprobs, labels)
        if likely is not None:  # told by models that can, where they were asked
            return await _calibrated(criteria, model, likely, ctx)
        answer = _read_label(written)
        label = answer.get("label", "")
        if label in labels:
            if criteria.probabilities:
                who += ", which told no probabilities"
            reason = answer.get("reason") or who
            return Decision(label, reason)
        if written.strip():  # some APIs refuse a turn without words
            turn = AssistantTurn(written)
            turns.append(turn)
        correction = UserTurn(f"{label!r} is not a label. Choose one of: {listed}")
        turns.append(correction)
    reason = f"{who} chose {label!r}, which is none of {listed}"
    return Decision(None, reason)


def _read_label(text: str) -> dict[str, str]:
    try:
        answer: dict[str, str] = read_output(text, dict[str, str], False)
    except OutputInvalid:  # small models leave the JSON out, and name the label all the same
        return {"label": text.strip()}
    return answer


def _instructions(criteria: Criteria) -> str:
    lines = ["Choose the label that fits the message best. The labels are:"]
    for label, description in criteria.labels.items():
        line = f"- {label}"
        if description:
            line += f": {description}"
        lines.append(line)
    form = '{"label": ...}'
    if criteria.explain:  # the reason first: what is written before a choice can still change it
        form = '{"reason": ..., "label": ...}, the reason in a few words'
    lines.append(f"Answer with JSON: {form}")
    return "\n".join(lines)


def _schema(criteria: Criteria) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if criteria.explain:
        properties["reason"] = {"type": "string", "maxLength": 200}
    properties["label"] = {"type": "string", "enum": list(criteria.labels)}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


async def _ask(criteria: Criteria, model: Model, turns: Sequence[Turn], ctx: Context) -> Reply:
    top_logprobs = 0
    if criteria.probabilities:
        top_logprobs = min(TOP, getattr(model, "top_logprobs", 0))
    # Probabilities of a sampled answer would be those of another.
    temperature = 0 if top_logprobs else None
    request = Request(
        tuple(turns),
        _instructions(criteria),
        output_schema=_schema(criteria),
        temperature=temperature,
        top_logprobs=top_logprobs,
    )
    reply = await ask(model, request, ctx)
    error = refusal_in(reply, model, ctx)
    if error is not None:
        raise error
    return reply


# -- what a model finds likely ---------------------------------------------------------------------
_biases: dict[tuple[str, str], list[float]] = {}


async def _calibrated(
    criteria: Criteria, model: Model, likely: list[float], ctx: Context
) -> Decision:
    """The likeliest label, with the model's bias for some of them divided out."""
    bias = await _bias(criteria, model, ctx)
    weights: Scores = {}
    for label, probability, usual in zip(criteria.labels, likely, bias, strict=True):
        weights[label] = probability / usual
    total = sum(weights.values())
    scores: Scores = {}
    for label, weight in weights.items():
        scores[label] = weight / total
    best = _best_of(scores)
    score = scores[best]
    rounded = _rounded(scores)  # for people and events; what is compared is not rounded
    share = f"{score:.2f}, calibrated"
    reason = f"model {model.name} finds {best!r} likeliest ({share})"
    if _falls_short(score, criteria):
        reason += f", and that is below {criteria.threshold:g}"
        return Decision(None, reason, rounded)
    return Decision(best, reason, rounded)


async def _bias(criteria: Criteria, model: Model, ctx: Context) -> list[float]:
    """What the model says to messages that favour no label; asked once a process."""
    question = _instructions(criteria)
    key = (model.name, question)
    if key in _biases:
        return _biases[key]
    labels = list(criteria.labels)
    known: list[Vector] = []
    for message in balanced(criteria.labels):
        turns = [UserTurn(message)]
        reply = await _ask(criteria, model, turns, ctx)
        probabilities = label_probabilities(reply.text, reply.logprobs, labels)
        if probabilities is not None:
            known.append(probabilities)
    # Without any probability told there is no bias to divide out: all labels weigh the same.
    bias = [1.0] * len(labels)
    if known:
        bias = _mean(known)
    if len(_biases) >= KEPT:
        oldest = next(iter(_biases))  # dicts keep the order in which keys came
        del _biases[oldest]
    _biases[key] = bias
    return bias


def balanced(labels: Meanings) -> tuple[str, ...]:
    """Messages that together favour no label: one for each, its description; where those are missing, some that say nothing.

    The mean over them would be the same for all labels, were the model not biased (Zhou et al. 2023, Batch Calibration,
    arXiv:2309.17249).
    """
    descriptions = tuple(labels.values())
    if all(descriptions):
        return descriptions
    return CONTENT_FREE


def label_probabilities(
    text: str, places: Sequence[Likely], labels: Sequence[str]
) -> list[float] | None:
    """The probability of each label, read where the answer `{"label": ...}` names one; None if that is nowhere.

    Tokens that could have stood there are followed as far as they spell the same as the answer. What is not among the
    likeliest is taken to be as likely as the last of them.
    """
    named = re.search(r'"label"\s*:\s*"', text)
    if named is None or not places:
        return None
    tokens = "".join(place.token for place in places)
    # A model may have put a fence before its answer, which the tokens still have.
    lead = max(0, tokens.find(text))
    fence = tokens[:lead]
    label_start = named.end()
    before_label = text[:label_start]
    tally = _LabelTally(labels, fence + before_label)
    written = ""
    for place in places:
        after = written + place.token
        reaches_label = len(after) > tally.start
        if reaches_label and not tally.add(written, place):
            break
        written = after
    return tally.probabilities()


class _LabelTally:
    """What the tokens of an answer, and those that could have stood in their places, add up to for each label.

    Of the labels `refund`, `return` and `other`, with the answer `{"label": "refund"}`:

        {"label": "   re     fund        re 0.7 leaves two labels open: the next place is looked at, with weight 0.7
                   other  turn           other 0.3 is `other`; fund 0.9 is `refund`, 0.63 in all; turn `return`, 0.07
    """

    def __init__(self, labels: Sequence[str], prefix: str) -> None:
        self.start = len(prefix)
        self.spellings = {label: f'{prefix}{label}"' for label in labels}
        self.found = dict.fromkeys(labels, 0.0)
        self.weight = 1.0
        """Probability of the answer's own tokens, from the label's beginning to here."""
        self.floor = 1.0
        """The least probability that was told."""

    def add(self, written: str, place: Likely) -> bool:
        """Counts one place; whether the answer's own token there leaves several labels open."""
        logprobs = [logprob for _, logprob in place.top]
        least = min(logprobs, default=0.0)
        unseen = self.weight * math.exp(least)
        self.floor = min(self.floor, unseen)
        onward = 0.0
        for token, logprob in place.top:
            probability = math.exp(logprob)
            labels = self._labels_after(written + token)
            is_open = len(labels) > 1
            if is_open and token == place.token:
                onward = probability
                continue
            # Several labels that begin alike share what nobody looked behind.
            for label in labels:
                share = probability / len(labels)
                self.found[label] += self.weight * share
        self.weight *= onward
        return onward > 0

    def _labels_after(self, written: str) -> list[str]:
        """The labels that what is written so far names, or may yet."""
        if len(written) <= self.start:
            return []
        labels: list[str] = []
        for label, spelling in self.spellings.items():
            is_named = written.startswith(spelling)
            if is_named or spelling.startswith(written):
                labels.append(label)
        return labels

    def probabilities(self) -> list[float] | None:
        """What each label has; None if no label was found at all."""
        found = self.found.values()
        if not any(found):
            return None
        return [probability or self.floor for probability in found]


# -- similarity ------------------------------------------------------------------------------------
async def by_similarity(criteria: Criteria, text: str) -> Decision:
    """The label whose examples are nearest in meaning; abstains below the threshold."""
    embedder = criteria.embedder
    if isinstance(embedder, str):
        embedder = open_embedder(embedder)
    centres = await _centres(embedder, criteria.examples, criteria.labels)
    [vector] = await embedder.embed([text])
    # The dot product of two unit vectors is the cosine of the angle between them.
    scores: Scores = {}
    for label, centre in centres.items():
        scores[label] = _dot(vector, centre)
    best = _best_of(scores)
    score = scores[best]
    rounded = _rounded(scores)
    if _falls_short(score, criteria):
        reason = f"no label is as near as {criteria.threshold:g} (nearest: {best})"
        return Decision(None, reason, rounded)
    reason = f"nearest to the examples of {best!r} ({embedder.name})"
    return Decision(best, reason, rounded)


_known: WeakKeyDictionary[Embedder, dict[object, Vectors]] = WeakKeyDictionary()
"""Centres per embedder and declaration: constants of the two, computed once a process."""


async def _centres(embedder: Embedder, examples: Texts, labels: Meanings) -> Vectors:
    """For each label the normed mean of its examples' vectors and its description's."""
    texts_of = _texts_by_label(examples, labels)
    key = tuple(texts_of.items())
    known = _known.setdefault(embedder, {})
    if key in known:
        return known[key]
    centres: Vectors = {}
    for label, texts in texts_of.items():
        vectors = await embedder.embed(texts)
        # The mean of unit vectors is shorter than one: normed, its dot product with a unit vector is the cosine.
        mean = _mean(vectors)
        square = _dot(mean, mean)
        length = math.sqrt(square) or 1.0
        centres[label] = [x / length for x in mean]
    known[key] = centres
    return centres


def _texts_by_label(examples: Texts, labels: Meanings) -> Texts:
    """What stands for each label: its examples, and its description if it has one."""
    texts_of = dict(examples)
    for label, texts in examples.items():
        description = labels.get(label)
        if description:
            texts_of[label] = (*texts, description)
    return texts_of


def _dot(one: Vector, other: Vector) -> float:
    products = [a * b for a, b in zip(one, other, strict=True)]
    return sum(products)


def _mean(vectors: Sequence[Vector]) -> Vector:
    count = len(vectors)
    mean: Vector = []
    for column in zip(*vectors, strict=True):
        total = sum(column)
        mean.append(total / count)
    return mean
