"""Graphs as YAML files: the same words, the same arrows, the same object.

A file is code, as it names functions, servers and programs; but the modules that it can name are those of its own project
and graphflow's, and its arrows and types are parsed, never evaluated. All problems of a file are reported at once, each with
its line. When a graph is written, what a file cannot name, and every secret, is refused and never left out.
"""

from __future__ import annotations

from graphflow.files.reader import is_graph_file, load_graph, read_graph
from graphflow.files.types import PLAIN_TYPES

__all__ = ["PLAIN_TYPES", "is_graph_file", "load_graph", "read_graph"]
