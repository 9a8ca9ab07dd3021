"""The seam to models: what a model is asked, what it answers, what that costs.

Agents ask through it and providers answer through it, so neither knows the other. Turns, requests, events and replies are
plain values that name no provider; what a provider wants back travels in `keep`, unread. Only `resolve` knows that names
stand for providers, and it loads one when a model of it is opened, not before.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("seam", "settings", "turns", "reply", "resolve", "prices"))
