"""The style sheet of a picture that is as light or dark as its page."""

from __future__ import annotations

import re

from graphflow.render.palette import DARK, LIGHT

_COLOUR = re.compile(r'(fill|stroke)="(#[0-9a-f]{6})"')


def style_sheet(body: str, prefix: str) -> str:
    """The rules for the colours that occur in a picture whose elements are drawn in the light ones.

    Each colour becomes a variable of the picture, and the rules for light and dark give it a value. `:where` makes them so
    weak that the style sheet of a page can overrule them.
    """
    used = set(_COLOUR.findall(body))
    names: list[str] = []
    for name, colour in LIGHT.items():
        if ("fill", colour) in used or ("stroke", colour) in used:
            names.append(name)
    me = f"#{prefix}"
    light = _variables(names, LIGHT)
    dark = _variables(names, DARK)
    rules = [
        f"{me}{{max-width:100%;height:auto;{light}}}",
        f"@media (prefers-color-scheme:dark){{{me}{{{dark}}}}}",
        # JupyterLab and VS Code have themes of their own, whatever the system has.
        f'[data-jp-theme-light="true"] {me},.vscode-light {me}{{{light}}}',
        f'[data-jp-theme-light="false"] {me},.vscode-dark {me}{{{dark}}}',
    ]
    for name in names:
        colour = LIGHT[name]
        variable = f"var(--gf-{name})"
        for attribute in ("fill", "stroke"):
            if (attribute, colour) not in used:
                continue
            selector = f':where({me}) [{attribute}="{colour}"]'
            rules.append(f"{selector}{{{attribute}:{variable}}}")
    lines = "\n".join(rules)
    return f"{lines}\n"


def _variables(names: list[str], colours: dict[str, str]) -> str:
    values = ""
    for name in names:
        colour = colours[name]
        values += f"--gf-{name}:{colour};"
    return values
