"""A project: a folder with `graphs/` (and `nodes/`), the user's own or the one that comes with graphflow.

Here a name, or a file, becomes a graph, and what stands on a command line becomes the message that this graph takes.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(
    __name__, ("project", "runtime", "graph_files", "graphs", "python_file", "message", "runs")
)
