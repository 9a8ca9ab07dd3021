"""A router: a node that says which way its message goes, and why.

It decides by rule (a function), by a model (the labels are the schema), or by similarity of embeddings to examples. With
labels, what travels on is the router's input; with a rule that returns a union of messages, what it returned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar, Literal, Unpack, get_args
from weakref import WeakKeyDictionary

from graphflow.arrows import In, Out
from graphflow.errors import DeclarationError, OutputInvalid
from graphflow.events import RouteDecided
from graphflow.kinds.asking import ask, declined
from graphflow.kinds.structured import read_output
from graphflow.messages import Type, arms, origin_of, to_text, type_name
from graphflow.model import Embedder, Model, Request
from graphflow.nodes import Context, Node, NodeOptions
from graphflow.opening import open_embedder
from graphflow.ports import Port, read_signature
from graphflow.prompts import Prompt
from graphflow.turns import AssistantTurn, Turn, UserTurn

Labels = Sequence[str] | Mapping[str, str]
Vector = list[float]


class Router(Node[In, Out]):
    """Chooses one way for each message.

    Args:
        name: the router's name.
        rule: a function of the message that returns a label (annotated `Literal[...]` or an enum) or one of several
            message types. It runs in the event loop, so it must not block; async is fine.
        labels: the labels, or a mapping of each label to its description; for a model or embeddings.
        examples: texts per label; with these it decides by similarity.
        model: decides by a model, "provider:model" or a `Model`; default (without rule and examples): the graph's.
        embedder: "provider:model" or an `Embedder`, for similarity.
        threshold: similarity (cosine, -1 to 1) below which `otherwise` is chosen.
        otherwise: the label for messages that are like none.
        input: the type of message it takes.
        prompt: template of the text that is looked at; default: the message as text.
        description: what it decides.
    """

    kind: ClassVar[str] = "router"

    rule: Callable[..., Any] | None
    labels: Mapping[str, str]
    examples: Mapping[str, tuple[str, ...]]
    model: Model | str | None
    embedder: Embedder | str
    threshold: float | None
    otherwise_label: str | None
    prompt: Prompt | None

    def __init__(
        self,
        name: str,
        rule: Callable[..., Any] | None = None,
        *,
        labels: Labels = (),
        examples: Mapping[str, Sequence[str]] | None = None,
        model: Model | str | None = None,
        embedder: Embedder | str = "local:use",
        threshold: float | None = None,
        otherwise: str | None = None,
        input: Type = None,
        prompt: str | None = None,
        description: str = "",
        **options: Unpack[NodeOptions],
    ) -> None:
        if threshold is not None and not -1 <= threshold <= 1:
            raise DeclarationError(f"router {name!r}: threshold={threshold!r}; a cosine lies between -1 and 1")
        described = dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
        shown = {label: tuple(texts) for label, texts in (examples or {}).items()}
        kind, taken, problems = _declared(name, rule, described, shown, otherwise, input)
        self._declare(
            name,
            ports=(Port("message", taken),),
            output=kind,
            description=description,
            problems=problems,
            passes_input=_is_labels(kind),
            **options,
        )
        own = self.__dict__
        own["rule"] = rule
        own["labels"] = {
            **dict.fromkeys(shown, ""),
            **described,
            **({otherwise: described.get(otherwise, "")} if otherwise else {}),
        }
        own["examples"] = shown
        own["model"] = model
        own["embedder"] = embedder
        own["threshold"] = threshold
        own["otherwise_label"] = otherwise
        own["prompt"] = None if prompt is None else Prompt(prompt)

    @property
    def asks_model(self) -> bool:
        """Whether a model decides."""
        return self.rule is None and not self.examples

    @property
    def most_model_calls(self) -> int:
        """A decision and one repair."""
        return 2 if self.asks_model else 0

    def prove(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What its prompt names that its messages do not have."""
        return [] if self.prompt is None else self.prompt.prove(list(incoming), deps)

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Decides, and tells why."""
        message = next(iter(inputs.values()))
        scores: dict[str, float] = {}
        if self.rule is not None:
            choice = self.rule(message, **self._context(ctx))
            if inspect.isawaitable(choice):
                choice = await choice
            reason = f"rule {getattr(self.rule, '__name__', 'function')}"
        else:
            text = self.prompt.render(message, ctx) if self.prompt else to_text(message)
            choice, reason, scores = await (self._by_model(text, ctx) if self.asks_model else self._by_similarity(text))
        label = (
            str(choice.value if isinstance(choice, Enum) else choice) if self.passes_input else type(choice).__name__
        )
        ctx.frame.record(RouteDecided, ctx.activation, node=self.name, choice=label, reason=reason, scores=scores)
        output: Out = choice
        return output

    def _context(self, ctx: Context) -> dict[str, Context]:
        assert self.rule is not None
        parameter = read_signature(self.rule, Context).context
        return {} if parameter is None else {parameter: ctx}

    async def _by_model(self, text: str, ctx: Context) -> tuple[str, str, dict[str, float]]:
        model: Model = ctx.frame.model(self)
        listed = "\n".join(f"- {label}" + (f": {about}" if about else "") for label, about in self.labels.items())
        schema = {
            "type": "object",
            "properties": {"label": {"type": "string", "enum": list(self.labels)}},
            "required": ["label"],
            "additionalProperties": False,
        }
        system = f'Choose the label that fits the message best. The labels are:\n{listed}\nAnswer with JSON: {{"label": ...}}'
        turns: list[Turn] = [UserTurn(text)]
        for attempt in (1, 2):
            reply = await ask(model, Request(tuple(turns), system, output_schema=schema), ctx)
            if (error := declined(reply, model, ctx)) is not None:
                raise error
            try:
                label = read_output(reply.text, dict[str, str], False).get("label", "")
            except OutputInvalid:
                label = reply.text.strip()
            if label in self.labels:
                return label, f"model {model.name}", {}
            if attempt == 1:
                turns += [
                    AssistantTurn(reply.text),
                    UserTurn(f"{label!r} is no label. Choose one of: {', '.join(self.labels)}"),
                ]
        if self.otherwise_label is not None:
            return self.otherwise_label, f"model {model.name} chose no label", {}
        raise OutputInvalid(
            f"router {self.name!r}: model {model.name!r} chose {label!r}, which is none of {', '.join(self.labels)}"
        )

    async def _by_similarity(self, text: str) -> tuple[str, str, dict[str, float]]:
        embedder = open_embedder(self.embedder) if isinstance(self.embedder, str) else self.embedder
        centres = await _centres(embedder, self)
        [vector] = await embedder.embed([text])
        scores = {label: sum(a * b for a, b in zip(vector, centre, strict=True)) for label, centre in centres.items()}
        best = max(scores, key=lambda label: scores[label])
        rounded = {label: round(score, 4) for label, score in scores.items()}
        if self.threshold is not None and self.otherwise_label is not None and scores[best] < self.threshold:
            return self.otherwise_label, f"no label is as near as {self.threshold:g} (nearest: {best})", rounded
        return best, f"nearest to the examples of {best!r} ({embedder.name})", rounded


_known: WeakKeyDictionary[Any, dict[Any, dict[str, Vector]]] = WeakKeyDictionary()
"""Centres per embedder and declaration: constants of the two, computed once a process."""


async def _centres(embedder: Embedder, router: Router[Any, Any]) -> dict[str, Vector]:
    """For each label the normed mean of its examples' vectors and its description's."""
    key = tuple((label, router.labels.get(label, ""), texts) for label, texts in router.examples.items())
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


def _declared(
    name: str,
    rule: Callable[..., Any] | None,
    labels: Mapping[str, str],
    examples: Mapping[str, tuple[str, ...]],
    otherwise: str | None,
    input: Type,
) -> tuple[Type, Type, tuple[str, ...]]:
    """The router's output type, the type it takes, and what is wrong with its declaration."""
    if rule is not None:
        if labels or examples:
            raise DeclarationError(f"router {name!r} has a rule and labels or examples; it decides by one of them")
        signature = read_signature(rule, Context)
        problems = list(signature.problems)
        if len(signature.ports) != 1:
            problems.append(
                f"the rule of router {name!r} takes {len(signature.ports)} messages; a router decides about one"
            )
        taken = input or (signature.ports[0].type if signature.ports else Any)
        if not problems and not _is_labels(signature.output) and len(arms(signature.output)) < 2:
            problems.append(
                f"the rule of router {name!r} returns {type_name(signature.output)}; annotate the labels (Literal['a', 'b']) "
                "or the union of messages that it chooses from"
            )
        return signature.output, taken, tuple(problems)
    all_labels = list(dict.fromkeys([*labels, *examples, *([otherwise] if otherwise else [])]))
    if len(all_labels) < 2:
        raise DeclarationError(
            f"router {name!r} has {len(all_labels)} labels; give it a rule, or at least two labels or examples"
        )
    unknown = [label for label in examples if labels and label not in labels]
    missing = [label for label in labels if examples and label not in examples and label != otherwise]
    if unknown or missing:
        raise DeclarationError(
            f"router {name!r}: labels and examples differ ({', '.join([*unknown, *missing])}); give each label examples"
        )
    empty = [label for label, texts in examples.items() if not texts]
    if empty:
        raise DeclarationError(f"router {name!r}: label {empty[0]!r} has no example; give it at least one text")
    return Literal[tuple(all_labels)], Any if input is None else input, ()


def _is_labels(kind: Type) -> bool:
    return all(
        (origin_of(arm) is Literal and bool(get_args(arm))) or (isinstance(arm, type) and issubclass(arm, Enum))
        for arm in arms(kind)
    )
