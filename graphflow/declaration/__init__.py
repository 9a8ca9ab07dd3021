"""What users write down: nodes, ports, arrows, hand-overs.

A declaration does nothing and knows nothing of walks. It is checked where it is written as far as it can be on its
own; what takes the whole graph is proven in `graphflow.proofs.proof`.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("background",))
