"""Graphs as YAML files: the same words, the same arrows, the same object."""

from __future__ import annotations

from graphflow.files.reader import is_graph_file, load_graph, read_graph
from graphflow.files.types import PLAIN_TYPES

__all__ = ["PLAIN_TYPES", "is_graph_file", "load_graph", "read_graph"]
