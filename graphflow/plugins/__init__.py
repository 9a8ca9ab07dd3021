"""Plug-ins: what other packages bring by entry points, so that files, addresses and settings can name it.

plugin              what a plug-in brings, for code: `plugin("kinds", "shelf")("tea", size=3)`
installed_plugins   all that are installed, with their state; `graphflow plugins` prints them
Plugin              one of them
Seam, SEAMS         what can be extended

Law: this room knows names and packages, and nothing of what they make; each room that can be extended asks it by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow._faces import face

if TYPE_CHECKING:
    from graphflow.plugins.registry import Plugin as Plugin
    from graphflow.plugins.registry import Seam as Seam
    from graphflow.plugins.seams import SEAMS as SEAMS
    from graphflow.plugins.seams import installed_plugins as installed_plugins
    from graphflow.plugins.seams import plugin as plugin

__getattr__ = face("graphflow.plugins", ["seams", "registry"])
