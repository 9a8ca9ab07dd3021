"""Tells a model what stands in variables of the environment: those that are named beforehand, and never a secret."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from graphflow import Tool, ToolError, factory, tool
from graphflow.errors import DeclarationError
from graphflow.redaction import is_secret, scrub

MAX_CHARACTERS = 4_000
"""Characters of a value that are shown."""
Name = Annotated[str, Field(min_length=1, max_length=200)]


@factory
def environment(names: Sequence[str]) -> tuple[Tool[Any, Any], ...]:
    """Tools for the environment: list_variables, read_variable.

    Args:
        names: the variables that may be read, each by its whole name; there are no patterns, so that nothing comes in unseen.

    Raises:
        DeclarationError: no name is given, or one is that of a secret: code gets those by `Secrets(env=[...])`, models never.
    """
    allowed = _allowed(names)

    @tool(effects=["reads"], paths=[])
    def list_variables() -> list[str]:
        """List the environment variables that may be read, and that are set."""
        return [name for name in allowed if name in os.environ]

    @tool(effects=["reads"], paths=[])
    def read_variable(variable: Name) -> str:
        """Read an environment variable.

        Args:
            variable: its whole name, as list_variables has it.
        """
        # What is not allowed and what is not set look the same: nobody learns what else there is.
        value = os.environ.get(variable) if variable in allowed else None
        if value is None:
            known = ", ".join(each for each in allowed if each in os.environ) or "none"
            raise ToolError(f"there is no variable {variable!r} to read; there are: {known}")
        # By what it holds, as names do not tell: an address may have a password in it.
        if scrub(value) != value:
            raise ToolError(f"{variable} holds a secret, which is not for models; go on without it")
        if len(value) > MAX_CHARACTERS:
            return f"{value[:MAX_CHARACTERS]} [cut after {MAX_CHARACTERS} characters]"
        return value

    return list_variables, read_variable


def _allowed(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not names:
        raise DeclarationError(
            f"environment({names!r}): give a list of the variables that may be read, as ['LANG', 'TZ']"
        )
    for name in names:
        if not isinstance(name, str) or not name or "=" in name or "*" in name or "\0" in name:
            raise DeclarationError(
                f"environment: {name!r} is not a variable; give whole names, without patterns"
            )
        if is_secret(name):
            raise DeclarationError(
                f"environment: {name!r} is named like a secret, and models see none; give it to code, "
                f"by Secrets(env=[{name!r}]) and ctx.secret({name!r})"
            )
    return tuple(dict.fromkeys(names))
