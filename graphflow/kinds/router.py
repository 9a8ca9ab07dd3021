"""A router: a node that says which way its message goes, and why.

It decides by rule (a function), by the first guard that holds, by a model (the labels are the schema, or letters whose
probability the model tells), by similarity of embeddings to examples, by who has answered last in the conversation, or by a
cascade of these: who abstains leaves it to the next. With labels, what travels on is the router's input; with a rule that
returns a union of messages, what it returned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, Unpack, overload

from graphflow.declaration.arrows import Arm, In, Out
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, Inputs, Label, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port, Signature, read_signature
from graphflow.errors import DeclarationError, OutputInvalid
from graphflow.events import RouteDecided
from graphflow.kinds.decision import (
    ATTEMPTS,
    Decision,
    balanced,
    by_guards,
    by_last_answer,
    by_model,
    by_similarity,
)
from graphflow.kinds.labels import Labels, is_labels, label_type, labels_in, with_otherwise
from graphflow.kinds.prompts import Prompt
from graphflow.kinds.step import AnyFunction
from graphflow.messages.message import to_text
from graphflow.messages.types import Type, arms, type_name
from graphflow.model.seam import Embedder, Model

B = TypeVar("B")
GuardFunction: TypeAlias = Callable[[Any], bool]


class Router(Node[In, Out]):
    """Chooses one way for each message.

    Args:
        name: the router's name.
        rule: a function of the message that returns a label (annotated `Literal[...]` or an enum) or one of several
            message types. It runs in the event loop, so it must not block; async is fine.
        labels: the labels, or a mapping of each label to its description; for a model or embeddings.
        guards: a test of the message per label; the first that holds decides. They run in the event loop.
        examples: texts per label; with these it decides by similarity.
        back_to: names of nodes, which are labels; the one that has answered last in the conversation is chosen.
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

    rule: AnyFunction | None
    labels: Mapping[str, str]
    guards: Mapping[str, GuardFunction]
    examples: Mapping[str, tuple[str, ...]]
    back_to: tuple[str, ...]
    cascade: tuple[AnyRouter, ...]
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
        rule: AnyFunction | None = None,
        *,
        labels: Labels = (),
        guards: Mapping[str, GuardFunction] | None = None,
        examples: Mapping[str, Sequence[str]] | None = None,
        back_to: Sequence[str] = (),
        model: Model | str | None = None,
        probabilities: bool = False,
        explain: bool = False,
        cascade: Sequence[AnyRouter] = (),
        embedder: Embedder | str = "local:use",
        threshold: float | None = None,
        otherwise: str | None = None,
        input: Type = None,
        prompt: str | None = None,
        description: str = "",
        **options: Unpack[NodeOptions],
    ) -> None:
        if threshold is not None and not -1 <= threshold <= 1:
            raise DeclarationError(
                f"router {name!r}: threshold={threshold!r}; a cosine lies between -1 and 1"
            )
        described = dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
        example_texts = {label: tuple(texts) for label, texts in (examples or {}).items()}
        ways = {"rule": rule, "guards": guards, "examples": example_texts, "back_to": back_to}
        _check_ways(name, ways | {"cascade": cascade})
        _check_rule(name, rule, described)
        _check_guards(name, guards or {})
        for stage in cascade:
            _check_stage(name, stage)
        self._set(
            name=name,
            rule=rule,
            examples=example_texts,
            guards=dict(guards or {}),
            back_to=tuple(back_to),
            cascade=tuple(_as_stage(stage) for stage in cascade),
            probabilities=probabilities,
            explain=explain,
            may_abstain=otherwise is not None,
            model=model,
            embedder=embedder,
            threshold=threshold,
            otherwise_label=otherwise,
            prompt=None if prompt is None else Prompt(prompt),
            _described=described,
            _input=input,
        )
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
        self._set(**read)  # `_declare` has set what every node has; this is what a router adds

    _described: Mapping[str, str]
    """The labels that were given by themselves, with their descriptions."""
    _input: Type
    _context: str | None
    """The parameter of the rule that gets the frame's view, if any."""

    if TYPE_CHECKING:  # a router has labels, whatever messages it sends on

        @overload
        def __getitem__(self, arm: type[B], /) -> Arm[In, B]: ...
        @overload
        def __getitem__(self, arm: Label | UnionType | None, /) -> Arm[In, Any]: ...
        def __getitem__(self, arm: Any, /) -> Arm[In, Any]:
            raise NotImplementedError

    def settle(self) -> None:
        """Reads the annotations again: a class that stands below the router is defined by the time of the graph."""
        for stage in self.cascade:
            stage.settle()
        self._set(**self._read_declaration())

    def _read_declaration(self) -> dict[str, Any]:
        """What the rule's annotations, the labels and the stages say; and what is wrong with them."""
        problems = [problem for stage in self.cascade for problem in stage.problems]
        labels = self._all_labels(with_stages=not problems)
        taken: Type = Any if self._input is None else self._input
        context: str | None = None
        rule_abstains = False
        output: Type
        if problems:
            output = Any  # a stage that cannot be read has no labels yet
        elif self.rule is None:
            output = label_type(
                self.name, labels, self.examples, self.otherwise_label, self._least_labels()
            )
        else:
            signature = read_signature.__wrapped__(self.rule, Context)
            problems = _rule_problems(self.name, signature)
            output = with_otherwise(signature.output, self.otherwise_label)
            if self._input is None and signature.ports:
                taken = signature.ports[0].type
            context = signature.context
            rule_abstains = type(None) in arms(signature.output)
        if self.otherwise_label is not None:
            labels.setdefault(self.otherwise_label, "")
        return {
            "ports": (Port("message", taken),),
            "output": output,
            "problems": tuple(problems),
            "passes_input": is_labels(output),
            "labels": {**dict.fromkeys(self.examples, ""), **labels},
            "rule_abstains": rule_abstains,
            "_context": context,
        }

    def _all_labels(self, *, with_stages: bool) -> dict[str, str]:
        """Its own labels and those of its stages, each with its description."""
        labels = dict(self._described)
        for stage in self.cascade if with_stages else ():
            labels = {**_labels_of(self.name, stage), **labels}
        return {**dict.fromkeys((*self.guards, *self.back_to), ""), **labels}

    def _least_labels(self) -> int:
        """How many labels it needs: one that may abstain can be a stage with one label."""
        by_similarity = bool(self.examples) and self.threshold is not None
        may_abstain = by_similarity or bool(self.guards) or bool(self.back_to)
        return 1 if may_abstain else 2

    @property
    def asks_model(self) -> bool:
        """Whether a model decides."""
        if self.cascade:
            return any(stage.asks_model for stage in self.cascade)
        if self.rule is not None:
            return False
        return not (self.examples or self.guards or self.back_to)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the stages of its cascade, too: a stage decides without being activated itself."""
        names = list(super().names)
        for stage in self.cascade:
            names += stage.names
        return tuple(dict.fromkeys(names))

    @property
    def askers(self) -> tuple[AnyNode, ...]:
        """Who asks a model when this is activated: it, or stages of its cascade."""
        if self.cascade:
            return tuple(stage for stage in self.cascade if stage.asks_model)
        return (self,) if self.asks_model else ()

    @property
    def max_model_calls(self) -> int:
        """A decision and one repair, and with probabilities those that tell its bias."""
        if self.cascade:
            return sum(stage.max_model_calls for stage in self.cascade)
        if not self.asks_model:
            return 0
        bias = len(balanced(self.labels)) if self.probabilities else 0
        return ATTEMPTS + bias

    def check_arrivals(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What its prompt names that its messages do not have, and guards that may leave a message without a way."""
        problems: list[str] = []
        message_types = list(incoming)
        for router in (self, *self.cascade):
            if router.prompt is not None:
                problems += router.prompt.prove(message_types, deps, self.reads)
        labels = labels_in(self.output)
        if self.rule is None and len(labels) < 2:
            problems.append(
                f"router {self.name!r} has one label only; give it otherwise='a label', or make it a stage"
            )
        if not self.may_abstain:
            problems += self._gaps()
        return problems

    def check_beside(self, names: Collection[str]) -> list[str]:
        """Nodes to go back to that are not there, and so can never have answered."""
        problems: list[str] = []
        for router in (self, *self.cascade):
            for name in router.back_to:
                if name not in names:
                    problems.append(
                        f"router {router.name!r}: back_to={name!r}, and no node of this graph is called so"
                    )
        return problems

    def _gaps(self) -> list[str]:
        """Messages that nobody decides about."""
        last = self.cascade[-1] if self.cascade else self
        if last.guards:
            where = "no guard holds"
        elif last.back_to:
            where = "none of them has answered last"
        elif last.rule_abstains:
            where = "its rule returns None"
        else:
            return []
        remedy = "give it otherwise='a label'"
        if self.cascade:
            remedy += ", or a last stage that always decides"
        return [f"router {self.name!r}: where {where} nothing is chosen; {remedy}"]

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Decides, and tells why."""
        message = next(iter(inputs.values()))
        decision = await self._decide(message, ctx)
        choice = decision.choice
        if choice is None and self.passes_input:
            choice = self._otherwise(decision.reason)
        label = str(_plain(choice)) if self.passes_input else type(choice).__name__
        ctx.frame.tell(RouteDecided(*ctx.stamp, self.name, label, decision.reason, decision.scores))
        output: Out = choice
        return output

    def _otherwise(self, reason: str) -> str:
        """The label of a message that nobody has one for.

        Raises:
            OutputInvalid: there is no such label.
        """
        if self.otherwise_label is None:
            raise OutputInvalid(
                f"router {self.name!r}: {reason}; give it otherwise='a label' for such messages"
            )
        return self.otherwise_label

    async def _decide(self, message: object, ctx: Context) -> Decision:
        if self.cascade:
            return await self._in_stages(message, ctx)
        if self.guards:
            return by_guards(self.guards, message)
        if self.back_to:
            return by_last_answer(self.back_to, ctx.answered_last)
        if self.rule is not None:
            return await self._by_rule(self.rule, message, ctx)
        text = self.prompt.render(message, ctx) if self.prompt else to_text(message)
        if self.asks_model:
            model = ctx.frame.model(self)
            return await by_model(self, model, text, ctx)
        return await by_similarity(self, text)

    async def _by_rule(self, rule: AnyFunction, message: object, ctx: Context) -> Decision:
        # In the loop, not in a thread: a rule is a few comparisons, and a thread costs more than they do.
        if self._context is None:
            choice = rule(message)
        else:
            choice = rule(message, **{self._context: ctx})
        if inspect.isawaitable(choice):
            choice = await choice
        name = getattr(rule, "__name__", "function")
        return Decision(choice, f"rule {name}")

    async def _in_stages(self, message: object, ctx: Context) -> Decision:
        """The decision of the first stage that does not abstain, with the reasons of all that were asked."""
        reasons: list[str] = []
        scores: Mapping[str, float] = {}
        for stage in self.cascade:
            decision = await stage._decide(message, ctx)
            reasons.append(f"{stage.name}: {decision.reason}")
            reason = "; ".join(reasons)
            if decision.choice is not None:  # what the others had is of no interest any more
                label = str(_plain(decision.choice))
                return Decision(label, reason, decision.scores)
            scores = scores or decision.scores
        return Decision(None, reason, scores)


AnyRouter: TypeAlias = Router[Any, Any]


def _plain(choice: object) -> object:
    """A label itself; of an enum, its value."""
    return choice.value if isinstance(choice, Enum) else choice


def _check_ways(name: str, ways: Mapping[str, object]) -> None:
    """It decides in one way at most."""
    given = [way for way, value in ways.items() if value]
    if len(given) > 1:
        listed = " and ".join(given)
        raise DeclarationError(
            f"router {name!r} has {listed}; it decides by one of them, or by a cascade"
        )


def _check_rule(name: str, rule: object, labels: Mapping[str, str]) -> None:
    """A rule names its labels itself."""
    if rule is not None and labels:
        raise DeclarationError(
            f"router {name!r} has a rule and labels or examples; it decides by one of them"
        )


def _check_guards(name: str, guards: Mapping[str, GuardFunction]) -> None:
    for label, holds in guards.items():
        if not callable(holds) or inspect.iscoroutinefunction(holds):
            raise DeclarationError(
                f"router {name!r}: the guard of {label!r} must be a plain function of the message, not {holds!r}"
            )


def _check_stage(name: str, stage: object) -> None:
    """Refuses what cannot be a stage, whatever its annotations turn out to say."""
    if not isinstance(stage, Router):
        raise DeclarationError(f"router {name!r}: {stage!r} in its cascade is not a router")
    if stage.otherwise_label is not None:
        raise DeclarationError(
            f"router {name!r}: its stage {stage.name!r} has otherwise={stage.otherwise_label!r} and would never abstain; "
            "give it to the cascade"
        )


def _labels_of(name: str, stage: AnyRouter) -> dict[str, str]:
    """The labels of a stage, with their descriptions."""
    if not stage.passes_input:
        raise DeclarationError(
            f"router {name!r}: its stage {stage.name!r} chooses messages, not labels; it cannot be a stage"
        )
    return dict(stage.labels) or dict.fromkeys(labels_in(stage.output), "")


def _as_stage(stage: AnyRouter) -> AnyRouter:
    """The stage as one that may abstain."""
    # A copy: the router itself may stand elsewhere, where it must decide.
    twin = stage.named(stage.name)
    twin.__dict__["may_abstain"] = True
    return twin


def _rule_problems(name: str, signature: Signature) -> list[str]:
    """What is wrong with a rule."""
    problems = [*signature.problems, *signature.unanswered]
    if signature.secrets:
        problems.append(
            f"the rule of router {name!r} takes a secret; annotate a Context, and call ctx.secret(...)"
        )
    count = len(signature.ports)
    if count != 1:
        problems.append(
            f"the rule of router {name!r} takes {count} messages; a router decides about one"
        )
    chooses = is_labels(signature.output) or len(arms(signature.output)) > 1
    if not problems and not chooses:
        problems.append(
            f"the rule of router {name!r} returns {type_name(signature.output)}; annotate the labels (Literal['a', 'b']) "
            "or the union of messages that it chooses from"
        )
    return problems
