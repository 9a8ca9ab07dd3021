"""What goes wrong with plug-ins: what other packages bring."""

from __future__ import annotations

from graphflow.errors.root import GraphflowError


class PluginError(GraphflowError):
    """A plug-in cannot be used. Others are not touched by it.

    Attributes:
        seam: what it extends: "kinds", "stores"...
        plugin: its name there.
        distribution: the package that brings it; "" where none does.
    """

    retryable = False

    def __init__(self, text: str, *, seam: str, plugin: str, distribution: str = "") -> None:
        super().__init__(text)
        self.seam = seam
        self.plugin = plugin
        self.distribution = distribution


class PluginUnknown(PluginError, LookupError):
    """No plug-in of that name is installed; the text names near ones."""


class PluginRefused(PluginError, PermissionError):
    """A plug-in is not used: it is denied, it has the name of something built in, or two have the same name."""


class PluginBroken(PluginError, ImportError):
    """A plug-in cannot be loaded, or does not make what it is for; the text names its package."""


class PluginOptionsInvalid(PluginError, ValueError):
    """A plug-in was given options that it does not have, or values that do not fit.

    Attributes:
        problems: each with the way to it: keys and positions, from the outside in.
    """

    problems: tuple[tuple[tuple[object, ...], str], ...] = ()
