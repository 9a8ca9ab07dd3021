"""The secrets of a run before it begins: read, and taken out of what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from graphflow.errors import DeclarationError, SecretInvalid, SecretUnknown
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.run_mask import MaskedPlaces, RunMask, without_secrets
from graphflow.runtime.run_scope import RunScope
from graphflow.secrets.declared import Secrets, open_all
from graphflow.secrets.opened import OpenSecrets, unknown_secret

RunNames: TypeAlias = tuple[tuple[str, str | None], ...]
"""What a run and its conversation are called, by the option that says so; None: nothing was given."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a run hides, and what was found of it in the message that it begins with."""

    secrets: OpenSecrets
    places: MaskedPlaces

    def begin(self, shared: RunScope) -> None:
        """Has the run mask them from now on."""
        shared.mask = RunMask(self.secrets, shared.run, self.places)
        shared.run.hidden = self.secrets
        # The straight path hands on what nodes answer as it is.
        shared.plain = False


def hide(
    graph: AnyGraph, secrets: object, message: object, names: RunNames = ()
) -> tuple[Hidden, object]:
    """The secrets of a run, of itself and of its graphs, and its message without them.

    Raises:
        DeclarationError: what was given is not `Secrets(...)`.
        SecretUnknown, SecretInvalid: one cannot be read, or cannot be a secret; or what the run is called holds one.
    """
    opened = open_secrets(graph, secrets)
    for node, name in graph.secrets_wanted:
        if not opened.has(name):
            problem = unknown_secret(name, [known for known, _ in opened.values()])
            raise SecretUnknown(f"{node!r} of graph {graph.name!r} takes a secret: {problem}")
    for option, name_given in names:
        check_name(opened, graph.name, option, name_given)
    clean, places = without_secrets(opened, message, "input", graph.name)
    return Hidden(opened, places), clean


def open_secrets(graph: AnyGraph, secrets: object) -> OpenSecrets:
    """The secrets of a run, of itself and of its graphs.

    Raises:
        DeclarationError: what was given is not `Secrets(...)`.
        SecretUnknown, SecretInvalid: one cannot be read, or cannot be a secret.
    """
    declared: list[object] = [*graph.secrets_below]
    if secrets is not None:
        declared.append(secrets)
    given = [_checked(graph.name, each) for each in declared]
    return open_all(given)


def check_name(secrets: OpenSecrets, graph: str, option: str, given: object) -> None:
    """Refuses a name that holds a secret: stores write it into names of files and into tables, and look runs up by it.

    Raises:
        SecretInvalid: it holds one.
    """
    if not isinstance(given, str):
        return
    shown = secrets.mask(given)
    if shown == given:
        return
    raise SecretInvalid(
        f"the run of {graph!r}: {option}={shown!r} holds a secret, and stores write names as they are; choose another"
    )


def _checked(graph: str, secrets: object) -> Secrets:
    if isinstance(secrets, Secrets):
        return secrets
    kind = type(secrets).__name__
    raise DeclarationError(
        f"the run of {graph!r}: secrets= is a {kind}; give Secrets({{'name': value}}), from graphflow.security"
    )
