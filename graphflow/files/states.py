"""States in a file, in the words of `State(...)`.

state:
  notes:  {type: "list[str]", start: [], merge: extend}
  plan:   {type: "messages:Plan"}
  budget: {type: int, start: 0, merge: "steps:spend", scope: conversation}
uses:
  topic:  {type: str}
nodes:
  writer: {kind: agent, reads: [plan], adds: [notes]}
edges:
  - planner >> plan
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from graphflow.errors import FileUnreadable
from graphflow.files.addresses import address, type_text
from graphflow.files.document import PlainMapping
from graphflow.files.expressions import read_expression
from graphflow.files.problems import AlreadyReported
from graphflow.files.types import Types
from graphflow.files.values import shown
from graphflow.merges import READY_MERGES, by_key
from graphflow.messages.message import to_json_value
from graphflow.messages.state import UNSET, AnyState, MergeFunction, State
from graphflow.messages.types import Type, adapter_of
from graphflow.proofs.proven import AnyGraph

PARTS = ("state", "uses")
"""The keys of a graph that declare states."""


class StateReader:
    """The states of one file.

    Args:
        types: reads the types that the file names.
        declared: what the file holds.
    """

    def __init__(self, types: Types, declared: PlainMapping) -> None:
        self.types = types
        self.problems = types.problems
        self.states: dict[str, AnyState] = {}
        self._failed: set[str] = set()
        self._declared = declared

    def make_all(self) -> None:
        """Makes every state that can be made, and reports why the others cannot."""
        for part in PARTS:
            entries = self._declared.get(part)
            if not isinstance(entries, Mapping):
                continue
            for name, entry in entries.items():
                make = partial(self._make, part, name, entry)
                self.problems.attempt(make)

    def give_up(self, name: str) -> None:
        """Makes no state of that name: what is wrong with its entry is reported already."""
        self._failed.add(name)

    def find(self, name: str) -> AnyState | None:
        """The state of that name, if there is one.

        Raises:
            AlreadyReported: there would be, if its entry were right.
        """
        if name in self._failed:
            raise AlreadyReported(name)
        return self.states.get(name)

    def named(self, names: Iterable[str]) -> list[AnyState]:
        """The states of these names.

        Raises:
            FileUnreadable: the file declares no such state.
        """
        return [self._known(name) for name in names]

    def _known(self, name: str) -> AnyState:
        state = self.find(name)
        if state is not None:
            return state
        problem = f"the file declares no state {shown(name)}"
        near = difflib.get_close_matches(name, self.states, n=1)
        if near:
            problem += f"; did you mean {near[0]!r}?"
        else:
            problem += f"; declare it: state: {{{name}: {{type: str}}}}"
        raise self.problems.error(problem)

    def _make(self, part: str, name: str, entry: object) -> None:
        if name in self._failed or not isinstance(entry, Mapping):
            return
        self._failed.add(name)
        with self.problems.within(part, name):
            if name in self.states:
                raise self.problems.error(f"state {name!r} is declared twice: under state and uses")
            self.states[name] = self._state(name, entry)
        self._failed.discard(name)

    def _state(self, name: str, entry: Mapping[str, Any]) -> AnyState:
        if "type" not in entry:
            raise self.problems.error(f"state {name!r} has no type; write type: str, for example")
        with self.problems.within("type"):
            kind = self.types.read(entry["type"])
        options: dict[str, Any] = {}
        if "start" in entry:
            with self.problems.within("start"):
                options["start"] = self._start(name, kind, entry["start"])
        if entry.get("merge") is not None:
            with self.problems.within("merge"):
                options["merge"] = self._merge(entry["merge"])
        if entry.get("scope") is not None:
            options["scope"] = entry["scope"]
        return State(name, kind, **options)

    def _start(self, name: str, kind: Type, given: object) -> object:
        try:
            return adapter_of(kind).validate_python(given)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            raise self.problems.error(
                f"start of state {name!r} is not of its type {type_text(kind)}: {why}"
            ) from None

    def _merge(self, text: str) -> MergeFunction:
        ready = READY_MERGES.get(text)
        if ready is not None:
            return ready
        match read_expression(text):
            case ast.Call(
                func=ast.Name(id="by_key"), args=[ast.Constant(value=str(field))], keywords=[]
            ):
                return by_key(field)
        if ":" in text:
            return self.types.names.function(text, "the merge")
        known = ", ".join(READY_MERGES)
        raise self.problems.error(
            f"there is no merge {shown(text)}; write {known}, by_key('field'), or 'module:function'"
        )


# -- what is written -------------------------------------------------------------------------------
def states_of(graph: AnyGraph) -> dict[str, object]:
    """The states of a graph as its file declares them.

    Raises:
        FileUnreadable: a start value or a merge cannot be written.
    """
    declared: dict[str, object] = {}
    for part, states in (("state", graph.state), ("uses", graph.uses)):
        if states:
            declared[part] = {state.name: _written(state) for state in states}
    return declared


def _written(state: AnyState) -> dict[str, object]:
    entry: dict[str, object] = {"type": type_text(state.type)}
    if state.start is not UNSET:
        entry["start"] = _written_start(state)
    if state.merge is not None:
        entry["merge"] = _written_merge(state.merge)
    # What is usual goes without saying.
    if state.scope != "frame":
        entry["scope"] = state.scope
    return entry


def _written_start(state: AnyState) -> object:
    plain = to_json_value(state.start)
    try:
        again = adapter_of(state.type).validate_python(plain)
    except ValidationError:
        again = UNSET
    if again != state.start:
        raise FileUnreadable(
            f"state {state.name!r} starts with {shown(state.start)}, which a file cannot hold; keep the graph in Python"
        )
    return plain


def _written_merge(merge: MergeFunction) -> str:
    text = repr(merge)
    is_ready = merge in READY_MERGES.values() or text.startswith("by_key(")
    return text if is_ready else address(merge)
