"""A router: a node that says which way its message goes, and why.

It decides by rule (a function), by the first guard that holds, by a model (the labels are the schema, or letters whose
probability the model tells), by similarity of embeddings to examples, or by a cascade of these: who abstains leaves it to the
next. With labels, what travels on is the router's input; with a rule that returns a union of messages, what it returned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Literal, Unpack, get_args

from graphflow.declaration.arrows import In, Out
from graphflow.declaration.node import Context, Node, NodeOptions
from graphflow.declaration.ports import Port, Signature, read_signature
from graphflow.errors import DeclarationError, OutputInvalid
from graphflow.events import RouteDecided
from graphflow.kinds.decision import Decision, balanced, by_guards, by_model, by_similarity
from graphflow.kinds.prompts import Prompt
from graphflow.messages.message import to_text
from graphflow.messages.types import Type, arms, origin_of, type_name
from graphflow.model.seam import Embedder, Model

Labels = Sequence[str] | Mapping[str, str]


class Router(Node[In, Out]):
    """Chooses one way for each message.

    Args:
        name: the router's name.
        rule: a function of the message that returns a label (annotated `Literal[...]` or an enum) or one of several
            message types. It runs in the event loop, so it must not block; async is fine.
        labels: the labels, or a mapping of each label to its description; for a model or embeddings.
        guards: a test of the message per label; the first that holds decides. They run in the event loop.
        examples: texts per label; with these it decides by similarity.
        model: decides by a model, "provider:model" or a `Model`; default (without any of the above): the graph's.
        probabilities: whether a model that can is asked for the probability of each label, corrected for its bias, in place
            of a label alone; asks a few questions more, once a process. Labels should have descriptions.
        explain: whether the model says why, in the event.
        cascade: routers with labels; each that abstains (no guard holds, below its threshold, None of a rule) leaves the
            decision to the next.
        embedder: "provider:model" or an `Embedder`, for similarity.
        threshold: similarity (cosine, -1 to 1) or probability (0 to 1) below which it abstains.
        otherwise: the label for messages that nobody has one for.
        input: the type of message it takes.
        prompt: template of the text that is looked at; default: the message as text.
        description: what it decides.
    """

    kind: ClassVar[str] = "router"

    rule: Callable[..., Any] | None
    labels: Mapping[str, str]
    guards: Mapping[str, Callable[[Any], bool]]
    examples: Mapping[str, tuple[str, ...]]
    cascade: tuple[Router[Any, Any], ...]
    probabilities: bool
    explain: bool
    rule_abstains: bool
    """Whether the rule may return None."""
    may_abstain: bool
    """Whether somebody is there to decide in its place: a stage of a cascade, or one with `otherwise`."""
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
        guards: Mapping[str, Callable[[Any], bool]] | None = None,
        examples: Mapping[str, Sequence[str]] | None = None,
        model: Model | str | None = None,
        probabilities: bool = False,
        explain: bool = False,
        cascade: Sequence[Router[Any, Any]] = (),
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
        ways = {"rule": rule, "guards": guards, "examples": shown, "cascade": cascade}
        _check_ways(name, ways, described)
        for stage in cascade:
            _check_stage(name, stage)
        own = self.__dict__
        own["name"] = name
        own["rule"] = rule
        own["examples"] = shown
        own["guards"] = dict(guards or {})
        own["cascade"] = tuple(_staged(stage) for stage in cascade)
        own["probabilities"] = probabilities
        own["explain"] = explain
        own["may_abstain"] = otherwise is not None
        own["model"] = model
        own["embedder"] = embedder
        own["threshold"] = threshold
        own["otherwise_label"] = otherwise
        own["prompt"] = None if prompt is None else Prompt(prompt)
        own["_described"] = described
        own["_input"] = input
        read = self._read_declaration()
        self._declare(
            name,
            ports=read["ports"],
            output=read["output"],
            description=description,
            problems=read["problems"],
            passes_input=read["passes_input"],
            **options,
        )
        own.update(read)

    _described: Mapping[str, str]
    """The labels that were given by themselves, with their descriptions."""
    _input: Type
    _context: str | None
    """The parameter of the rule that gets the frame's view, if any."""

    def settle(self) -> None:
        """Reads the annotations again: a class that stands below the router is defined by the time of the graph."""
        for stage in self.cascade:
            stage.settle()
        self.__dict__.update(self._read_declaration())

    def _read_declaration(self) -> dict[str, Any]:
        """What the rule's annotations, the labels and the stages say; and what is wrong with them."""
        described: dict[str, str] = dict(self._described)
        unread = [problem for stage in self.cascade for problem in stage.problems]
        for stage in () if unread else self.cascade:
            described = {**_labels_of(self.name, stage), **described}
        described = {**dict.fromkeys(self.guards, ""), **described}
        signature = None if self.rule is None else read_signature.__wrapped__(self.rule, Context)
        if unread:
            kind, taken, problems = Any, self._input or Any, tuple(unread)
        elif signature is not None:
            kind, taken, problems = _ruled(self.name, signature, self.otherwise_label, self._input)
        else:
            kind, taken, problems = self._labelled(described), Any if self._input is None else self._input, ()
        more = {} if self.otherwise_label is None else {self.otherwise_label: described.get(self.otherwise_label, "")}
        return {
            "ports": (Port("message", taken),),
            "output": kind,
            "problems": problems,
            "passes_input": _is_labels(kind),
            "labels": {**dict.fromkeys(self.examples, ""), **described, **more},
            "rule_abstains": signature is not None and type(None) in arms(signature.output),
            "_context": None if signature is None else signature.context,
        }

    def _labelled(self, described: Mapping[str, str]) -> Type:
        """The labels of a router without a rule, as a type."""
        may_be_stage = bool(self.guards) or (bool(self.examples) and self.threshold is not None)
        least = 1 if may_be_stage else 2  # one that may abstain can be a stage with one label
        return _label_type(self.name, described, self.examples, self.otherwise_label, least)

    @property
    def asks_model(self) -> bool:
        """Whether a model decides."""
        if self.cascade:
            return any(stage.asks_model for stage in self.cascade)
        return self.rule is None and not self.examples and not self.guards

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the stages of its cascade, too: a stage decides without being activated itself."""
        return tuple(dict.fromkeys((*super().names, *(name for stage in self.cascade for name in stage.names))))

    @property
    def askers(self) -> tuple[Node[Any, Any], ...]:
        """Who asks a model when this is activated: it, or stages of its cascade."""
        if self.cascade:
            return tuple(stage for stage in self.cascade if stage.asks_model)
        return (self,) if self.asks_model else ()

    @property
    def max_model_calls(self) -> int:
        """A decision and one repair, and with probabilities those that tell its bias."""
        if self.cascade:
            return sum(stage.max_model_calls for stage in self.cascade)
        bias = len(balanced(self.labels)) if self.probabilities else 0
        return 2 + bias if self.asks_model else 0

    def prove(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What its prompt names that its messages do not have, and guards that may leave a message without a way."""
        problems = [] if self.prompt is None else self.prompt.prove(list(incoming), deps)
        for stage in self.cascade:
            problems += [] if stage.prompt is None else stage.prompt.prove(list(incoming), deps)
        last = self.cascade[-1] if self.cascade else self
        if self.rule is None and len(_literals(self.output)) < 2:
            problems.append(f"router {self.name!r} has one label only; give it otherwise='a label', or make it a stage")
        if (last.guards or last.rule_abstains) and not self.may_abstain:
            where = "no guard holds" if last.guards else "its rule returns None"
            problems.append(
                f"router {self.name!r}: where {where} nothing is chosen; give it otherwise='a label'"
                + (", or a last stage that always decides" if self.cascade else "")
            )
        return problems

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Decides, and tells why."""
        message = next(iter(inputs.values()))
        decision = await self._decide(message, ctx)
        choice, reason = decision.choice, decision.reason
        if choice is None and self.passes_input:
            if self.otherwise_label is None:
                raise OutputInvalid(f"router {self.name!r}: {reason}; give it otherwise='a label' for such messages")
            choice = self.otherwise_label
        label = (
            str(choice.value if isinstance(choice, Enum) else choice) if self.passes_input else type(choice).__name__
        )
        scores = decision.scores
        ctx.frame.record(RouteDecided, ctx.activation, node=self.name, choice=label, reason=reason, scores=scores)
        output: Out = choice
        return output

    async def _decide(self, message: Any, ctx: Context) -> Decision:
        if self.cascade:
            return await self._in_stages(message, ctx)
        if self.guards:
            return by_guards(self.guards, message)
        if self.rule is not None:
            choice = self.rule(message, **({} if self._context is None else {self._context: ctx}))
            if inspect.isawaitable(choice):
                choice = await choice
            return Decision(choice, f"rule {getattr(self.rule, '__name__', 'function')}")
        text = self.prompt.render(message, ctx) if self.prompt else to_text(message)
        return await (by_model(self, text, ctx) if self.asks_model else by_similarity(self, text))

    async def _in_stages(self, message: Any, ctx: Context) -> Decision:
        reasons: list[str] = []
        scores: Mapping[str, float] = {}
        for stage in self.cascade:
            decision = await stage._decide(message, ctx)
            reasons.append(f"{stage.name}: {decision.reason}")
            scores = decision.scores if decision.choice is not None else scores or decision.scores
            if decision.choice is not None:
                choice = decision.choice.value if isinstance(decision.choice, Enum) else decision.choice
                return Decision(str(choice), "; ".join(reasons), scores)
        return Decision(None, "; ".join(reasons), scores)


def _check_ways(name: str, ways: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """One way to decide at most; a way that names its labels needs no others."""
    given = [way for way, value in ways.items() if value]
    if len(given) > 1:
        raise DeclarationError(f"router {name!r} has {' and '.join(given)}; it decides by one of them, or by a cascade")
    if ways["rule"] is not None and labels:
        raise DeclarationError(f"router {name!r} has a rule and labels or examples; it decides by one of them")
    for label, holds in (ways["guards"] or {}).items():
        if not callable(holds) or inspect.iscoroutinefunction(holds):
            raise DeclarationError(
                f"router {name!r}: the guard of {label!r} is no plain function of the message: {holds!r}"
            )


def _check_stage(name: str, stage: Any) -> None:
    """Refuses what cannot be a stage, whatever its annotations turn out to say."""
    if not isinstance(stage, Router):
        raise DeclarationError(f"router {name!r}: {stage!r} in its cascade is no router")
    if stage.otherwise_label is not None:
        raise DeclarationError(
            f"router {name!r}: its stage {stage.name!r} has otherwise={stage.otherwise_label!r} and would never abstain; "
            "give it to the cascade"
        )


def _labels_of(name: str, stage: Router[Any, Any]) -> dict[str, str]:
    """The labels of a stage, with their descriptions."""
    if not stage.passes_input:
        raise DeclarationError(
            f"router {name!r}: its stage {stage.name!r} chooses messages, not labels; it cannot be a stage"
        )
    return dict(stage.labels) or dict.fromkeys(_literals(stage.output), "")


def _staged(stage: Router[Any, Any]) -> Router[Any, Any]:
    """The stage as one that may abstain."""
    twin = stage.named(stage.name)
    twin.__dict__["may_abstain"] = True
    return twin


def _literals(kind: Type) -> list[str]:
    """The labels of a rule's annotation."""
    found: list[str] = []
    for arm in arms(kind):
        if origin_of(arm) is Literal:
            found += [str(value) for value in get_args(arm)]
        elif isinstance(arm, type) and issubclass(arm, Enum):
            found += [str(member.value) for member in arm]
    return found


def _ruled(name: str, signature: Signature, otherwise: str | None, input: Type) -> tuple[Type, Type, tuple[str, ...]]:
    """What a router with a rule chooses from, the type it takes, and what is wrong with the rule."""
    problems = [*signature.problems, *signature.unanswered]
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
    return _with_otherwise(signature.output, otherwise), taken, tuple(problems)


def _label_type(
    name: str,
    labels: Mapping[str, str],
    examples: Mapping[str, tuple[str, ...]],
    otherwise: str | None,
    least: int,
) -> Type:
    """The labels as a type.

    Raises:
        DeclarationError: there are too few, or labels and examples do not belong together.
    """
    all_labels = list(dict.fromkeys([*labels, *examples, *([otherwise] if otherwise else [])]))
    if len(all_labels) < least:
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
    return Literal[tuple(all_labels)]


def _with_otherwise(kind: Type, otherwise: str | None) -> Type:
    """What a rule that may abstain chooses from, `otherwise` included."""
    if type(None) not in arms(kind) or not _is_labels(kind):
        return kind
    more = [] if otherwise is None or otherwise in _literals(kind) else [Literal[otherwise]]
    chosen: Type = reduce(or_, [*(arm for arm in arms(kind) if arm is not type(None)), *more])
    return chosen


def _is_labels(kind: Type) -> bool:
    """Whether these are labels; None among them is a rule's way to abstain."""
    kinds = [arm for arm in arms(kind) if arm is not type(None)]
    return bool(kinds) and all(
        (origin_of(arm) is Literal and bool(get_args(arm))) or (isinstance(arm, type) and issubclass(arm, Enum))
        for arm in kinds
    )
