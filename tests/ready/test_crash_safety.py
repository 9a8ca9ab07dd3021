"""Every ready graph goes on from wherever it is cut off, under four orders of time, as if nothing had happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest

from graphflow.model.digest import digest_of
from graphflow.model.seam import Request
from graphflow.model.turns import ToolTurn
from graphflow.testing import ComputedModel, calls, check_crash_safety, gives, says
from graphs.debate import debate
from graphs.evaluator_optimizer import evaluator_optimizer
from graphs.handoff_desk import handoff_desk
from graphs.map_reduce import map_reduce
from graphs.plan_execute import plan_execute
from graphs.react import react
from graphs.reflexion import reflexion
from graphs.supervisor import supervisor

QUESTION = "What does a ticket cost, and when are you open?"
CASES = [
    debate,
    evaluator_optimizer,
    handoff_desk,
    map_reduce,
    plan_execute,
    react,
    reflexion,
    supervisor,
]
MAX_LENGTH = 40


class Chooser:
    """Makes values of schemas, by the digest of what is asked alone."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def number(self, below: int) -> int:
        self._count += 1
        return int(sha256(f"{self._seed} {self._count}".encode()).hexdigest(), 16) % below

    def value(self, schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Any:
        if "$ref" in schema:
            return self.value(defs[schema["$ref"].rpartition("/")[2]], defs)
        if "const" in schema:
            return schema["const"]
        for several in ("enum", "anyOf", "oneOf"):
            if several in schema:
                chosen = schema[several][self.number(len(schema[several]))]
                return chosen if several == "enum" else self.value(chosen, defs)
        kind = schema.get("type")
        if kind == "object":
            fields = schema.get("properties", {})
            return {name: self.value(inner, defs) for name, inner in fields.items()}
        if kind == "array":
            count = max(schema.get("minItems", 1), 1 + self.number(2))
            return [self.value(schema.get("items", {"type": "string"}), defs) for _ in range(count)]
        return self._scalar(kind, schema)

    def _scalar(self, kind: object, schema: Mapping[str, Any]) -> Any:
        if kind in ("integer", "number"):
            low = int(schema.get("minimum", 0))
            return low + self.number(max(1, int(schema.get("maximum", low + 5)) - low))
        if kind == "boolean":
            return bool(self.number(2))
        if kind == "null":
            return None
        return f"word {self.number(1000)}"[: schema.get("maxLength", MAX_LENGTH)]


def reply(request: Request) -> object:
    """Calls what there is to call first, and then answers by the schema, if there is one."""
    chooser = Chooser(digest_of(request))
    if request.tools and not isinstance(request.turns[-1], ToolTurn):
        spec = request.tools[chooser.number(len(request.tools))]
        arguments = chooser.value(spec.parameters, spec.parameters.get("$defs", {}))
        return calls(spec.name, **arguments)
    if request.output_schema is None:
        return says(f"words {chooser.number(1000)}")
    return gives(chooser.value(request.output_schema, request.output_schema.get("$defs", {})))


@pytest.mark.slow
@pytest.mark.parametrize("graph", CASES, ids=lambda graph: graph.name)
def test_a_ready_graph_survives_a_crash_anywhere(graph: Any) -> None:
    schema = graph.program.input
    message: Any = QUESTION
    if isinstance(schema, type) and hasattr(schema, "model_json_schema"):
        declared = schema.model_json_schema()
        message = Chooser(graph.name).value(declared, declared.get("$defs", {}))
        message = json.loads(json.dumps(message))
    report = asyncio.run(
        check_crash_safety(graph, message, model=ComputedModel(reply), seeds=range(4))
    )
    assert report.rows > 5
    assert report.cuts > 4
