"""Plug-ins: which are installed, and which of them cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.plugins.seams import installed_plugins

_AREA = "plugins"


def look_at_plugins() -> Iterator[Diagnosis]:
    """Each that cannot be used, and the packages of the others. They are loaded for that."""
    ready: dict[str, None] = {}
    for plugin in installed_plugins():
        if plugin.state == "ready":
            ready[f"{plugin.distribution} {plugin.version}"] = None
        # What was switched off is as somebody wants it.
        elif plugin.state != "off":
            yield Diagnosis(_AREA, plugin.name, "warning", plugin.error, "graphflow plugins")
    if ready:
        yield Diagnosis(_AREA, "ready", "ok", ", ".join(ready))
