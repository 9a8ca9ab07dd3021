"""Moved to `graphflow.kinds.output`; this name goes with 0.3."""

from __future__ import annotations

from graphflow._faces import moved

__getattr__ = moved(__name__, "graphflow.kinds.output")
