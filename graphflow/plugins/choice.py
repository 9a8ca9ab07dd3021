"""Which plug-ins are used: those that the project allows, unless a variable says otherwise.

GRAPHFLOW_PLUGINS=none              no plug-in at all
GRAPHFLOW_PLUGINS=acme,other        those of these packages alone, if the project does not deny them
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

SWITCH = "GRAPHFLOW_PLUGINS"
"""The variable that stands above the project."""
NONE = "none"
ALL = ("", "all")
_PARTS = re.compile(r"[-_.]+")


def package_name(name: str) -> str:
    """The name of a package as all spell it: `Acme_Graphs` is `acme-graphs`."""
    return _PARTS.sub("-", name.strip()).lower()


@dataclass(frozen=True, slots=True)
class PluginChoice:
    """Which plug-ins may be used, by the packages that bring them.

    Attributes:
        allow: those alone; None: all that are installed.
        deny: never those.
        origin: who says so, for errors.
    """

    allow: frozenset[str] | None = None
    deny: frozenset[str] = field(default=frozenset())
    origin: str = ""

    def refusal(self, package: str) -> str:
        """Why the plug-ins of a package are not used; "" if they are."""
        name = package_name(package)
        if name in self.deny:
            return f"{self.origin} denies them"
        if self.allow is not None and name not in self.allow:
            return f"{self.origin} does not allow them"
        return ""


EVERY = PluginChoice()
_stated = EVERY


def state_choice(choice: PluginChoice) -> None:
    """Says which plug-ins this process uses. The project that was opened last has the say."""
    global _stated
    _stated = choice


def refusal_of(package: str) -> str:
    """Why the plug-ins of a package are not used here; "" if they are."""
    switch = os.environ.get(SWITCH, "").strip()
    if switch.lower() == NONE:
        return f"${SWITCH} is {NONE}"
    # It takes away only: what the project denies stays denied.
    if switch.lower() not in ALL:
        names = frozenset(map(package_name, switch.split(",")))
        refusal = PluginChoice(names, origin=f"${SWITCH}").refusal(package)
        if refusal:
            return refusal
    return _stated.refusal(package)
