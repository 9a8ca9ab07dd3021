"""Keeping: what the options of a run say of how it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from typing import Any, cast

from graphflow.errors import DeclarationError
from graphflow.journal.storable import check_storable
from graphflow.journal.store import Store
from graphflow.journal.stored import Json
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrubbed
from graphflow.runtime.durability import Durability
from graphflow.runtime.options import KEEPING

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
    return Durability(store, resumes=resumes, owned=owned, **given)


def _without_store(
    graph: AnyGraph, given: Mapping[str, object], whose: str, *, resumes: bool
) -> Durability | None:
    if resumes:
        raise DeclarationError(f"{whose}: resume needs store=..., where the run is kept")
    if graph.may_wait:
        memory = Store.open("memory:")
        return Durability(memory)
    if not given:
        return None
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
