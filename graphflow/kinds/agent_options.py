"""What the options of an agent may be: checked where it is declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from graphflow.compaction.policies import ContextPolicy, Window
from graphflow.declaration.node import Callee, Node
from graphflow.errors import DeclarationError
from graphflow.kinds.delegation import background
from graphflow.kinds.output import output_schema
from graphflow.kinds.prompt_function import PromptFunction
from graphflow.kinds.prompts import Prompt
from graphflow.kinds.read_result import fetchers_for
from graphflow.messages.types import Type
from graphflow.model.conversation import Remembers
from graphflow.model.turns import CacheMark


def callees_of(
    tools: Sequence[Callee],
    sub_agents: Sequence[Callee],
    mcp: Sequence[Callee],
    recalls: Sequence[Callee],
    context: object,
) -> tuple[Callee, ...]:
    """What an agent may call, with what it needs beside.

    With a sub-agent in the background that is what awaits its answer; where a context policy may leave out results of its
    tools, what reads them again.
    """
    callees: list[Callee] = [*tools, *sub_agents, *mcp, *recalls]
    callees += fetchers_for(context, [*tools, *mcp])
    waits = False
    for callee in callees:
        if isinstance(callee, Node) and callee.in_background:
            waits = True
    if waits:
        callees.append(background)
    return tuple(callees)


def checked_context(name: str, policy: object) -> ContextPolicy | None:
    """What leaves something out of what the model of an agent is shown.

    Raises:
        DeclarationError: it is no such policy.
    """
    if policy is None or isinstance(policy, Window) or callable(policy):
        return policy
    raise DeclarationError(
        f"agent {name!r}: context={policy!r}; give Window(...), HeadTail(...), Summarise(...) or a function"
    )


def check_counts(name: str, counts: Mapping[str, int], repairs: int) -> None:
    """Refuses numbers that mean nothing.

    Raises:
        DeclarationError: there is one.
    """
    for option, count in counts.items():
        if count < 1:
            raise DeclarationError(f"agent {name!r}: {option}={count} must be at least 1")
    if repairs < 0:
        raise DeclarationError(f"agent {name!r}: repairs={repairs} must be at least 0")


def checked_remembers(name: str, given: Remembers | None) -> Remembers | None:
    """What an agent remembers.

    Raises:
        DeclarationError: it is none of the ways in which one can.
    """
    ways = get_args(Remembers)
    if given is None or given in ways:
        return given
    names = map(repr, ways)
    listed = ", ".join(names)
    raise DeclarationError(f"agent {name!r}: remembers={given!r}; give one of {listed}")


def check_lists(name: str, **given: object) -> None:
    """Refuses a single node where a list belongs.

    Raises:
        DeclarationError: there is one.
    """
    for option, nodes in given.items():
        if isinstance(nodes, (str, Node)):
            raise DeclarationError(f"agent {name!r}: {option}={nodes!r}; give a list")


def schema_problems(kind: Type) -> tuple[str, ...]:
    """What is wrong with an output type that no model could be asked for."""
    try:
        output_schema(kind)
    except Exception as error:
        reason = str(error).splitlines()[0]
        return (
            f"its output type makes no JSON schema: {reason}; use pydantic models and JSON types",
        )
    return ()


def standing_texts(
    system: object, name: str
) -> Prompt | PromptFunction | tuple[Prompt | PromptFunction | CacheMark, ...] | None:
    """The standing instructions: one template or function, or several with cache marks among them."""
    if system is None:
        return None
    if isinstance(system, str):
        return Prompt(system)
    whose = f"agent {name!r}"
    if callable(system):
        return PromptFunction(system, whose)
    problem = f"{whose}: system={system!r} must be a text, a function, or several of them with CACHE among them"
    if not isinstance(system, (list, tuple)) or not system:
        raise DeclarationError(problem)
    parts: list[Prompt | PromptFunction | CacheMark] = []
    for part in system:
        if isinstance(part, str):
            parts.append(Prompt(part))
        elif isinstance(part, CacheMark):
            parts.append(part)
        elif callable(part):
            parts.append(PromptFunction(part, whose))
        else:
            raise DeclarationError(problem)
    return tuple(parts)


def user_prompt(
    name: str, text: str | None, file: str | None, declared_in: str | None
) -> Prompt | None:
    """The template of the user's turn; a file lies beside the file that declares the agent."""
    if text is not None:
        if file is not None:
            raise DeclarationError(f"agent {name!r} has both prompt and prompt_file; give one")
        return Prompt(text)
    if file is None:
        return None
    folder = Path(declared_in).parent if declared_in else Path.cwd()
    return Prompt.read(folder / file)
