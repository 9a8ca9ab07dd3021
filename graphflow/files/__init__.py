"""Graphs as YAML, JSON and TOML files: the same words, the same arrows, the same object.

A file is code, as it names functions, servers and programs; but the modules that it can name are those of its own project
and graphflow's, and its arrows and types are parsed, never evaluated. All problems of a file are reported at once, each with
its line. When a graph is written, what a file cannot name, and every secret, is refused and never left out.
"""

from __future__ import annotations

from graphflow._faces import face

# Loaded when somebody asks: where a project is can be found out without all that reads a file.
__getattr__ = face(__name__, ("loader", "reader", "types"))
