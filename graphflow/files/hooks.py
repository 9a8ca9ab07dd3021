"""Hooks in a file: functions of the project, by stage.

hooks: {before: ["words:louder"], after_model: ["words:without_smalltalk"]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from graphflow.declaration.hooks import Hooks
from graphflow.declaration.node import AnyNode
from graphflow.errors import FileUnreadable
from graphflow.files.addresses import address
from graphflow.files.names import Names
from graphflow.kinds.hooked import hooked

STAGES = tuple(field.name for field in fields(Hooks))


def put_hooks(node: AnyNode, declared: Mapping[str, Sequence[str]], names: Names) -> AnyNode:
    """A node with the hooks that its entry names."""
    if not declared:
        return node
    stages = {
        stage: [names.function(text, "the hook") for text in texts]
        for stage, texts in declared.items()
    }
    return hooked(node, **stages)


def hooks_of(node: AnyNode) -> dict[str, list[str]]:
    """The hooks of a node as a file has them.

    Raises:
        FileUnreadable: one is a node, or a function that no file can name.
    """
    found: dict[str, list[str]] = {}
    for stage in STAGES:
        for hook in getattr(node.hooks, stage):
            if hook.function is None:
                raise FileUnreadable(
                    f"{node.name!r} has the node {hook.name!r} as a hook, which a file cannot hold; put it on an arrow"
                )
            found.setdefault(stage, []).append(address(hook.function))
    return found
