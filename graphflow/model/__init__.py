"""The seam to models: what a model is asked, what it answers, what that costs.

Agents ask through it and providers answer through it, so neither knows the other. Turns, replies and requests are
plain values; only `resolve` knows that names stand for providers, and asks for them when they are needed.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("seam", "settings", "turns", "reply", "resolve", "prices"))
