"""Claims: what is said of all walks of a graph; proven where the graph decides, enforced where somebody else does.

A claim (`graphflow/declaration/claims.py`) becomes an automaton that steps with what begins and ends. Two use it: the explorer,
which steps it through every walk that the arrows allow, and the guard, which steps it through the one that happens.
Nothing here asks a model, runs a node or waits.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("vocabulary",))
