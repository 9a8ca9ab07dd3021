"""Prompts: jinja2 templates, sandboxed, strict and bounded (`graphflow.kinds.templates`).

Rules:
1. A template sees the message (`message`), its fields by name, `text` for a message that is plain text, `deps`, and
   `ctx` (depth, path, session), and `state`: the states that its node reads, by name. Nothing else, and no undefined name
   is ever rendered as nothing.
2. A message is data: its text is inserted, never compiled.
3. What a template names is proven against the type of the message when the graph is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from graphflow.declaration.context import Context
from graphflow.display import Displayed
from graphflow.errors import PromptError
from graphflow.messages.fences import UntrustedText, fenced_text
from graphflow.messages.message import error_text, to_text
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type, arms, type_name
from graphflow.messages.untrusted import is_marked, marked_fields

if TYPE_CHECKING:
    from jinja2 import Template, nodes

    from graphflow.declaration.node import AnyNode
    from graphflow.kinds.templates import Bounded

ALWAYS = frozenset({"message", "deps", "ctx"})
CONTEXT_FIELDS = frozenset({"depth", "path", "session"})
STATE = "state"
"""The name by which a template reads states, unless its message has a field of that name."""
PLAIN_TEXT = frozenset({"text"})
"""What a message without fields brings into a template."""


@lru_cache(maxsize=1)
def _environment() -> Bounded:
    from graphflow.kinds.templates import Bounded

    return Bounded()


class Prompt(Displayed):
    """One template. Immutable; equal if the text is."""

    __slots__ = ("source", "where")

    def __init__(self, source: str, where: str = "") -> None:
        self.source = source
        self.where = where

    @classmethod
    def read(cls, path: Path) -> Prompt:
        """The template in a file.

        Raises:
            PromptError: there is no such file, or it is not UTF-8 text.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PromptError(f"prompt file {path} cannot be read: {error}") from None
        return cls(text, path.name)

    def render(self, message: Any, ctx: Context) -> str:
        """The text for one message.

        Raises:
            PromptError: it names something that is not there, does what the sandbox forbids, takes too long or writes too much.
        """
        from graphflow.kinds.templates import render

        deps = ctx.deps
        message = to_be_fenced(message, whole=ctx.node.takes_untrusted)
        fields = fields_of(message)
        view = {"depth": ctx.depth, "path": list(ctx.path), "session": ctx.session}
        names = {STATE: self._states(ctx), **fields, "message": message, "deps": deps, "ctx": view}
        try:
            text = render(_compiled(self.source), names)
            mask = ctx.frame.mask
            # What the run was given beside its message was not looked through.
            return text if mask is None else mask.value(text, "prompt", ctx.stamp, ctx.node.name)
        # Of jinja2, of Python within it, or of what a message does when it is written.
        except Exception as error:
            problem = _why(error)
        if deps is None and "deps" in self.source:
            problem += " (deps is None: pass run(..., deps=...))"
        have = ", ".join(sorted(names))
        raise PromptError(f"{self._title()}: {problem}; a template here can use: {have}")

    def _states(self, ctx: Context) -> dict[str, Any]:
        """The states that the template names, of those that its node reads."""
        return {
            state.name: ctx.read(state) for state in ctx.node.reads if state.name in self.source
        }

    def prove(
        self, kinds: Sequence[Type], deps: Type | None, reads: Sequence[AnyState] = ()
    ) -> list[str]:
        """What the template names that messages of these types, and the states that its node reads, do not have."""
        from jinja2 import TemplateSyntaxError, meta

        title = self._title()
        environment = _environment()
        try:
            tree = environment.parse(self.source)
            _compiled(self.source)  # finds filters that do not exist, and what is nested too deep
        except TemplateSyntaxError as error:
            return [f"{title} line {error.lineno}: {error.message}"]
        except (RecursionError, SyntaxError, ValueError, MemoryError) as error:
            return [f"{title} cannot be compiled: {_why(error)}"]
        # What a loop or a `set` declares is the template's own.
        used = meta.find_undeclared_variables(tree)
        used -= ALWAYS
        used -= environment.globals.keys()
        problems: list[str] = []
        for kind in dict.fromkeys(kinds):
            has_own = STATE in (known_fields(kind) or {STATE})
            problems += self._prove_names(used if has_own else used - {STATE}, kind)
            if STATE in used and not has_own:
                problems += self._prove_states(tree, reads)
        problems += self._prove_attributes(tree, kinds, deps)
        return problems

    def _prove_states(self, tree: nodes.Template, reads: Sequence[AnyState]) -> list[str]:
        """States that the node does not read, and what their values do not have."""
        from jinja2 import nodes

        known = {state.name: state for state in reads}
        title = self._title()
        problems: list[str] = []
        for access in tree.find_all(nodes.Getattr):
            owner = access.node
            if isinstance(owner, nodes.Name) and owner.name == STATE and access.attr not in known:
                near = _near(access.attr, frozenset(known))
                problems.append(
                    f"{title} uses state.{access.attr}, and its node does not read such a state{near}; "
                    f"write reads=[{access.attr}]"
                )
            if not isinstance(owner, nodes.Getattr) or not isinstance(owner.node, nodes.Name):
                continue
            state = known.get(owner.attr) if owner.node.name == STATE else None
            if state is not None and not _may_have(state.type, access.attr):
                lack = _lack(state.type, access.attr)
                problems.append(f"{title} uses state.{state.name}.{access.attr}, and {lack}")
        return problems

    def _prove_names(self, used: Set[str], kind: Type) -> list[str]:
        """Names that a message of this type does not bring."""
        have = known_fields(kind)
        if have is None:
            return []
        title = self._title()
        owner = type_name(kind)
        listed = ", ".join(sorted(have)) or "none"
        missing = used - have
        problems: list[str] = []
        for name in sorted(missing):
            near = _near(name, have)
            use = f"{title} uses {{{{ {name} }}}}"
            problems.append(
                f"{use}, and {owner} has no such field{near}; it has: {listed} (and message, deps, ctx)"
            )
        return problems

    def _prove_attributes(
        self, tree: nodes.Template, kinds: Sequence[Type], deps: Type | None
    ) -> list[str]:
        """Attributes of `ctx`, `deps` and `message` that these do not have."""
        from jinja2 import nodes

        owners: dict[str, list[Type]] = {"message": list(kinds)}
        if deps is not None:
            owners["deps"] = [deps]
        problems: list[str] = []
        title = self._title()
        for access in tree.find_all(nodes.Getattr):
            if not isinstance(access.node, nodes.Name):
                continue  # of a value that is only known at run time
            owner = access.node.name
            attribute = access.attr
            use = f"{title} uses {owner}.{attribute}"
            if owner == "ctx" and attribute not in CONTEXT_FIELDS:
                have = ", ".join(sorted(CONTEXT_FIELDS))
                problems.append(f"{use}; ctx has: {have}")
            for kind in owners.get(owner, ()):
                if not _may_have(kind, attribute):
                    lack = _lack(kind, attribute)
                    problems.append(f"{use}, and {lack}")
        return problems

    @property
    def names(self) -> list[str]:
        """What the template uses, sorted; nothing if it cannot be parsed."""
        from jinja2 import TemplateSyntaxError, meta

        environment = _environment()
        try:
            tree = environment.parse(self.source)
        except (TemplateSyntaxError, RecursionError):
            return []
        used = meta.find_undeclared_variables(tree)
        used -= environment.globals.keys()
        return sorted(used)

    def _title(self) -> str:
        if not self.where:
            return "prompt"
        return f"prompt {self.where!r}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prompt):
            return False
        return other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __str__(self) -> str:
        """The template itself."""
        return self.source

    def __repr__(self) -> str:
        title = self.where or self.source[:40]
        return f"<prompt {title!r}>"


@lru_cache(maxsize=1024)
def _compiled(source: str) -> Template:
    return _environment().made(source)


def _why(error: BaseException) -> str:
    """What went wrong, in words."""
    if isinstance(error, RecursionError):
        return "it is nested too deep, or calls itself without an end"
    kind = type(error)
    # jinja2 puts a line number into the text of some errors.
    message = getattr(error, "message", None)
    text = str(message or error_text(error))
    module = kind.__module__
    if module in _OWN_MODULES or module.startswith("jinja2"):
        return text
    if not text:
        return kind.__name__
    return f"{kind.__name__}: {text}"


_OWN_MODULES = ("graphflow.kinds.templates",)
"""Errors of these are about templates, so that their class says nothing more."""


def shown_text(message: Any, node: AnyNode) -> str:
    """A message without a prompt around it; one from outside between fences."""
    text = to_text(message)
    if node.takes_untrusted or is_marked(type(message)):
        return fenced_text(text)
    return text


def to_be_fenced(message: Any, *, whole: bool) -> Any:
    """A message whose untrusted texts are written between fences wherever a prompt writes them.

    `whole`: whether a text is untrusted as it is; of a model, the fields tell that are marked.
    """
    if isinstance(message, str):
        return UntrustedText(message) if whole else message
    if not isinstance(message, BaseModel):
        return message
    marked = marked_fields(type(message))
    changed: dict[str, object] = {}
    for name in marked:
        value = getattr(message, name)
        if isinstance(value, str):
            changed[name] = UntrustedText(value)
    return message.model_copy(update=changed) if changed else message


def fields_of(message: Any) -> Mapping[str, Any]:
    """The names that a message brings into a template."""
    names: Iterable[str]
    if isinstance(message, BaseModel):
        names = type(message).model_fields
    # The class itself counts as a dataclass, too, and has no values.
    elif dataclasses.is_dataclass(message) and not isinstance(message, type):
        names = [field.name for field in dataclasses.fields(message)]
    elif isinstance(message, Mapping):
        return {str(name): value for name, value in message.items()}
    elif isinstance(message, UntrustedText):
        return {"text": message}
    else:
        return {"text": to_text(message)}
    return {name: getattr(message, name) for name in names}


def known_fields(kind: Type) -> frozenset[str] | None:
    """The names that messages of a type bring into a template; None if that is only known at run time."""
    common: frozenset[str] | None = None
    for arm in arms(kind):
        names = _arm_fields(arm)
        if names is None:
            return None
        if common is None:
            common = names
        common &= names
    return common


def _arm_fields(arm: Type) -> frozenset[str] | None:
    if arm in (Any, object) or str(arm).startswith("dict"):
        return None
    if not isinstance(arm, type):
        return PLAIN_TEXT
    if issubclass(arm, BaseModel):
        return frozenset(arm.model_fields)
    if dataclasses.is_dataclass(arm):
        names = [field.name for field in dataclasses.fields(arm)]
        return frozenset(names)
    if issubclass(arm, Mapping):
        return None
    return PLAIN_TEXT


def _may_have(owner: Type, name: str) -> bool:
    """Whether a value of this type may have an attribute of that name."""
    fields = known_fields(owner)
    if fields is None or name in fields:
        return True
    return hasattr(owner, name)


def _lack(owner: Type, name: str) -> str:
    """Says that a type has no such attribute, and which one was probably meant."""
    fields = known_fields(owner) or frozenset()
    near = _near(name, fields)
    kind = type_name(owner)
    return f"{kind} has no {name!r}{near}"


def _near(name: str, have: frozenset[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, sorted(have), n=1)
    if not near:
        return ""
    return f" (did you mean {near[0]!r}?)"
