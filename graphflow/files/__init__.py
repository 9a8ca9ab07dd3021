"""Graphs as YAML files: the same words, the same arrows, the same object."""

from __future__ import annotations

from graphflow.files.names import PLAIN_TYPES
from graphflow.files.reader import is_graph_file, load_graph, read_graph

__all__ = ["PLAIN_TYPES", "is_graph_file", "load_graph", "read_graph"]
