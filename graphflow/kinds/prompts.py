"""Prompts: jinja2 templates, sandboxed, strict and bounded (`graphflow.kinds.templates`).

Rules:
1. A template sees the message (`message`), its fields by name, `text` for a message that is plain text, `deps`, and
   `ctx` (depth, path, session). Nothing else, and no undefined name is ever rendered as nothing.
2. A message is data: its text is inserted, never compiled.
3. What a template names is proven against the type of the message when the graph is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from graphflow.declaration.node import Context
from graphflow.display import Displayed
from graphflow.errors import PromptError
from graphflow.messages.message import error_text, to_text
from graphflow.messages.types import Type, arms, type_name

if TYPE_CHECKING:
    from jinja2 import Template

    from graphflow.kinds.templates import Bounded

ALWAYS = frozenset({"message", "deps", "ctx"})
CONTEXT_FIELDS = frozenset({"depth", "path", "session"})


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
            PromptError: there is no such file, or it is no UTF-8 text.
        """
        try:
            return cls(path.read_text(encoding="utf-8"), path.name)
        except (OSError, UnicodeDecodeError) as error:
            raise PromptError(f"prompt file {path} cannot be read: {error}") from None

    def render(self, message: Any, ctx: Context) -> str:
        """The text for one message.

        Raises:
            PromptError: it names something that is not there, does what the sandbox forbids, takes too long or writes too much.
        """
        from graphflow.kinds.templates import render

        view = {"depth": ctx.depth, "path": list(ctx.path), "session": ctx.session}
        names = {**fields_of(message), "message": message, "deps": ctx.deps, "ctx": view}
        try:
            return render(_compiled(self.source), names)
        except Exception as error:  # of jinja2, of Python within it, or of what a message does when it is written
            have = ", ".join(sorted(names))
            lacking = " (deps is None: pass run(..., deps=...))" if ctx.deps is None and "deps" in self.source else ""
            raise PromptError(
                f"prompt{self._place()}: {_why(error)}{lacking}; a template here can use: {have}"
            ) from None

    def prove(self, kinds: Sequence[Type], deps: Type | None) -> list[str]:
        """What the template names that messages of these types do not have."""
        from jinja2 import TemplateSyntaxError, meta

        try:
            tree = _environment().parse(self.source)
            _compiled(self.source)  # finds filters that do not exist, and what is nested too deep
        except TemplateSyntaxError as error:
            return [f"prompt{self._place()} line {error.lineno}: {error.message}"]
        except (RecursionError, SyntaxError, ValueError, MemoryError) as error:
            return [f"prompt{self._place()} cannot be compiled: {_why(error)}"]
        problems: list[str] = []
        wanted = meta.find_undeclared_variables(tree) - ALWAYS - set(_environment().globals)
        for kind in dict.fromkeys(kinds):
            have = known_fields(kind)
            if have is None:
                continue
            for name in sorted(wanted - have):
                near = _near(name, have)
                problems.append(
                    f"prompt{self._place()} uses {{{{ {name} }}}}, and {type_name(kind)} has no such field{near}; "
                    f"it has: {', '.join(sorted(have)) or 'none'} (and message, deps, ctx)"
                )
        return problems + self._prove_attributes(tree, kinds, deps)

    def _prove_attributes(self, tree: Any, kinds: Sequence[Type], deps: Type | None) -> list[str]:
        from jinja2 import nodes

        problems: list[str] = []
        for access in tree.find_all(nodes.Getattr):
            if not isinstance(access.node, nodes.Name):
                continue
            base, name = access.node.name, access.attr
            if base == "ctx" and name not in CONTEXT_FIELDS:
                problems.append(f"prompt{self._place()} uses ctx.{name}; ctx has: {', '.join(sorted(CONTEXT_FIELDS))}")
            owners = [deps] if base == "deps" and deps is not None else list(kinds) if base == "message" else []
            for owner in owners:
                have = known_fields(owner)
                if have is not None and name not in have and not hasattr(owner, name):
                    problems.append(
                        f"prompt{self._place()} uses {base}.{name}, and {type_name(owner)} has no {name!r}{_near(name, have)}"
                    )
        return problems

    @property
    def names(self) -> list[str]:
        """What the template uses, sorted; nothing if it cannot be parsed."""
        from jinja2 import TemplateSyntaxError, meta

        try:
            tree = _environment().parse(self.source)
        except (TemplateSyntaxError, RecursionError):
            return []
        return sorted(meta.find_undeclared_variables(tree) - set(_environment().globals))

    def _place(self) -> str:
        return f" {self.where!r}" if self.where else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prompt) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __str__(self) -> str:
        """The template itself."""
        return self.source

    def __repr__(self) -> str:
        return f"<prompt {self.where or self.source[:40]!r}>"


@lru_cache(maxsize=1024)
def _compiled(source: str) -> Template:
    return _environment().made(source)


def _why(error: BaseException) -> str:
    """What went wrong, in words."""
    text = str(getattr(error, "message", None) or error_text(error))
    if isinstance(error, RecursionError):
        return "it is nested too deep, or calls itself without an end"
    if type(error).__module__.startswith("jinja2") or type(error).__module__ == "graphflow.kinds.templates":
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def fields_of(message: Any) -> Mapping[str, Any]:
    """The names that a message brings into a template."""
    if isinstance(message, BaseModel):
        return {name: getattr(message, name) for name in type(message).model_fields}
    if dataclasses.is_dataclass(message) and not isinstance(message, type):
        return {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    if isinstance(message, Mapping):
        return {str(name): value for name, value in message.items()}
    return {"text": to_text(message)}


def known_fields(kind: Type) -> frozenset[str] | None:
    """The names that messages of a type bring into a template; None if that is only known at run time."""
    names: list[frozenset[str]] = []
    for arm in arms(kind):
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            names.append(frozenset(arm.model_fields))
        elif isinstance(arm, type) and dataclasses.is_dataclass(arm):
            names.append(frozenset(field.name for field in dataclasses.fields(arm)))
        elif (
            arm is Any
            or arm is object
            or (isinstance(arm, type) and issubclass(arm, Mapping))
            or str(arm).startswith("dict")
        ):
            return None
        else:
            names.append(frozenset({"text"}))
    return frozenset.intersection(*names) if names else None


def _near(name: str, have: frozenset[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, sorted(have), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
