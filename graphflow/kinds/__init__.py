"""What a node can be: functions, agents, routers, tools, code, people.

A kind declares its ports and types, and does its work in `activate`, through the context that it is given: it asks models,
calls nodes and spends limits there and nowhere else, and it knows neither the runtime nor a provider. It can call only what
it has an edge to. A node keeps nothing of a walk, so that many walks, and many activations of one walk, can share it.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("code", "delegation"))
