"""The style sheet of a picture that is as light or dark as its page."""

from __future__ import annotations

import re

from graphflow.render.palette import DARK, LIGHT

_COLOUR = re.compile(r'(fill|stroke)="(#[0-9a-f]{6})"')
PROPERTIES = ("fill", "stroke")


def style_sheet(body: str, prefix: str) -> str:
    """The rules for the colours that occur in a picture whose elements are drawn in the light ones.

    Each colour becomes a variable of the picture, and the rules for light and dark give it a value. `:where` makes them so
    weak that the style sheet of a page can overrule them.
    """
    used = set(_COLOUR.findall(body))
    names = [name for name, colour in LIGHT.items() if _occurs(colour, used)]
    me = f"#{prefix}"
    light = _variables(names, LIGHT)
    dark = _variables(names, DARK)
    rules = [
        f"{me}{{max-width:100%;height:auto;{light}}}",
        f"@media (prefers-color-scheme:dark){{{me}{{{dark}}}}}",
        f'[data-jp-theme-light="true"] {me},.vscode-light {me}{{{light}}}',
        f'[data-jp-theme-light="false"] {me},.vscode-dark {me}{{{dark}}}',
    ]
    for name in names:
        colour = LIGHT[name]
        for element_property in PROPERTIES:
            if (element_property, colour) in used:
                selector = f':where({me}) [{element_property}="{colour}"]'
                rules.append(f"{selector}{{{element_property}:var(--gf-{name})}}")
    return "\n".join(rules) + "\n"


def _occurs(colour: str, used: set[tuple[str, str]]) -> bool:
    return any((element_property, colour) in used for element_property in PROPERTIES)


def _variables(names: list[str], colours: dict[str, str]) -> str:
    return "".join(f"--gf-{name}:{colours[name]};" for name in names)
