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
    used_colours = {colour for _, colour in used}
    names: list[str] = []
    for name, colour in LIGHT.items():
        if colour in used_colours:
            names.append(name)
    me = f"#{prefix}"
    light = _variables(names, LIGHT)
    dark = _variables(names, DARK)
    sizes = "max-width:100%;height:auto;"
    dark_rule = _rule(me, dark)
    # JupyterLab and VS Code have themes of their own, whatever the system has.
    on_light_page = f'[data-jp-theme-light="true"] {me},.vscode-light {me}'
    on_dark_page = f'[data-jp-theme-light="false"] {me},.vscode-dark {me}'
    rules = [
        _rule(me, sizes + light),
        _rule("@media (prefers-color-scheme:dark)", dark_rule),
        _rule(on_light_page, light),
        _rule(on_dark_page, dark),
    ]
    # By the attribute, for an element has its own colours: no rule needs to know what is drawn with them.
    for name in names:
        colour = LIGHT[name]
        variable = f"var(--gf-{name})"
        for attribute in ("fill", "stroke"):
            if (attribute, colour) not in used:
                continue
            selector = f':where({me}) [{attribute}="{colour}"]'
            value = f"{attribute}:{variable}"
            rule = _rule(selector, value)
            rules.append(rule)
    rules.append("")
    return "\n".join(rules)


def _rule(selector: str, properties: str) -> str:
    return f"{selector}{{{properties}}}"


def _variables(names: list[str], colours: dict[str, str]) -> str:
    values = ""
    for name in names:
        colour = colours[name]
        values += f"--gf-{name}:{colour};"
    return values
