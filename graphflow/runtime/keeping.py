"""Keeping: what the options of a run say of how it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from typing import Any, cast

from graphflow.budgets import Budget
from graphflow.errors import DeclarationError
from graphflow.journal.storable import check_storable
from graphflow.journal.store import Store
from graphflow.journal.stored import Json
from graphflow.messages.message import shortened
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrubbed
from graphflow.runtime.durability import Durability
from graphflow.runtime.options import KEEPING, text_problem
from graphflow.runtime.talk import BUSY, RunConversation

_SYNCS = ("effects", "each", "end")


def take_durability(
    graph: AnyGraph, options: dict[str, Any], *, resumes: bool = False
) -> Durability | None:
    """Takes what says how a run is kept out of its options; None if it is not.

    A graph that may have to wait for an answer is kept in memory at least: when it goes on, it goes on from its record.

    Raises:
        DeclarationError: it cannot be kept like that.
    """
    given = {name: options.pop(name) for name in KEEPING if name in options}
    store = given.pop("store", None)
    whose = f"the run of {graph.name!r}"
    _take_user(given, whose)
    _take_budgets(given, whose, resumes=resumes)
    if store is None:
        return _without_store(graph, given, whose, resumes=resumes)
    # Nobody else has a store that is opened here by its address.
    owned = isinstance(store, str)
    store = opened(store, whose)
    sync = given.get("sync", "effects")
    if sync not in _SYNCS:
        raise DeclarationError(f"{whose}: sync={sync!r}; it is 'effects', 'each' or 'end'")
    metadata = given.get("metadata")
    if metadata is not None:
        given["metadata"] = _metadata(metadata, whose)
    if not given.get("best_effort"):
        check_storable(graph)
    if "lease_s" in given:
        _check_lease(whose, given["lease_s"])
    session = options.get("session")
    if isinstance(session, str) and not resumes:  # whoever goes on with a run has its conversation
        given.setdefault("conversation", session)
    _take_talk(graph, store, given, whose)
    return Durability(store, resumes=resumes, owned=owned, **given)


def _take_user(given: dict[str, Any], whose: str) -> None:
    """Checks whom a run serves, if somebody has said.

    Raises:
        DeclarationError: it is not text, or one that not every store can keep.
    """
    user = given.get("user")
    if user is None:
        given.pop("user", None)
        return
    problem = text_problem(user)
    if problem is not None:
        raise DeclarationError(f"{whose}: user={shortened(user)}: {problem}")


def _take_budgets(given: dict[str, Any], whose: str, *, resumes: bool) -> None:
    """Checks what a run may spend together with others. Whether it says whom it serves is seen when it is opened.

    Raises:
        DeclarationError: it is not a list of budgets.
    """
    if "budgets" not in given:
        return
    budgets = given.pop("budgets")
    if not isinstance(budgets, (list, tuple)):
        raise DeclarationError(f"{whose}: budgets={budgets!r}; give a list of Budget(...)")
    for each in budgets:
        if not isinstance(each, Budget):
            raise DeclarationError(f"{whose}: budgets=[{each!r}]; give Budget(...)")
    # A run that goes on may be given none instead of those that it was begun with.
    if budgets or resumes:
        given["budgets"] = tuple(budgets)


def _take_talk(graph: AnyGraph, store: Store, given: dict[str, Any], whose: str) -> None:
    """Puts the run's part in a conversation in the place of its key, if it is given one.

    Raises:
        DeclarationError: it cannot be kept like that.
    """
    busy = given.setdefault("busy", "wait")
    if busy not in BUSY:
        raise DeclarationError(f"{whose}: busy={busy!r}; it is 'wait', 'refuse' or 'cancel'")
    if "conversation" not in given:
        return
    key = checked_key(given.pop("conversation"), whose)
    if given.get("best_effort"):
        raise DeclarationError(
            f"{whose}: best_effort=True lets a run go on without a record, and an exchange is part of it; leave it out"
        )
    given["talk"] = RunConversation(store, graph, key, busy)


def checked_key(key: object, whose: str) -> str:
    """What a conversation is called.

    Raises:
        DeclarationError: it is not text, or one that not every store can keep.
    """
    problem = text_problem(key)
    if problem is not None:
        raise DeclarationError(f"{whose}: conversation={shortened(key)}: {problem}")
    assert isinstance(key, str)
    return key


def _without_store(
    graph: AnyGraph, given: Mapping[str, object], whose: str, *, resumes: bool
) -> Durability | None:
    if resumes:
        raise DeclarationError(f"{whose}: resume needs store=..., where the run is kept")
    if graph.may_wait and "budgets" not in given:
        memory = Store.open("memory:")
        return Durability(memory)
    if not given:
        return None
    if "budgets" in given:
        raise DeclarationError(
            f"{whose}: budgets= are counted in a store, and there is none; give store=... (`--store ADDRESS`)"
        )
    named = ", ".join(f"{name}=" for name in given)
    raise DeclarationError(
        f"{whose}: {named} says how a run is kept, and there is no store; give store=..."
    )


def opened(store: object, whose: str) -> Store:
    """A store that is given as it is, or by its address.

    Raises:
        DeclarationError: it is neither.
    """
    if isinstance(store, str):
        return Store.open(store)
    if isinstance(store, Store):
        return store
    raise DeclarationError(f"{whose}: store={store!r}; give a Store, or its address as a text")


def _metadata(metadata: object, whose: str) -> dict[str, Json]:
    """What a user has noted of a run, as a store keeps it: a copy without secrets.

    Raises:
        DeclarationError: it is not JSON.
    """
    why = f"it is {type(metadata).__name__}"
    if isinstance(metadata, Mapping) and all(isinstance(name, str) for name in metadata):
        try:
            text = json.dumps(dict(metadata), allow_nan=False)
            copy: dict[str, Json] = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            why = str(error)
        else:
            return cast("dict[str, Json]", scrubbed(copy))
    raise DeclarationError(f"{whose}: metadata= must be a dict of JSON values by name; {why}")


def _check_lease(whose: str, seconds: object) -> None:
    if not _is_duration(seconds):
        raise DeclarationError(
            f"{whose}: lease_s={seconds!r}; it must be a positive number of seconds"
        )


def _is_duration(seconds: object) -> bool:
    # True and False are numbers to Python.
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return False
    return 0 < seconds < inf
