"""What a timeline looks like: a style sheet that follows the theme of its page, and the same, light, as attributes."""

from __future__ import annotations

import re

LIGHT = (
    "--ink:#1f2933;--dim:#5f6c78;--line:#d9dee3;--paper:#ffffff;--act:#dfe8f3;--edge:#6f8299;"
    "--model:#b45309;--call:#1d6f8f;--bad:#b3261e;--path:#111827;--area:#9fb3c8"
)
DARK = (
    "--ink:#e6eaee;--dim:#a3afba;--line:#39424b;--paper:#161b20;--act:#2c3b4c;--edge:#8ea3bb;"
    "--model:#f0a04b;--call:#5fb7d6;--bad:#ff8a80;--path:#ffffff;--area:#4b6075"
)
STYLE = (
    f".gf-t{{color-scheme:light dark;{LIGHT}}}@media (prefers-color-scheme:dark){{.gf-t{{{DARK}}}}}@media print{{.gf-t{{{LIGHT}}}}}"
    # JupyterLab.
    f'@media screen{{[data-jp-theme-light="true"] .gf-t{{{LIGHT}}}[data-jp-theme-light="false"] .gf-t{{{DARK}}}}}'
    + """
.gf-t text{font:11px system-ui,Helvetica,Arial,sans-serif;fill:var(--ink);unicode-bidi:isolate}
.gf-t .dim{fill:var(--dim)}.gf-t .small{font-size:10px}.gf-t .head{font-weight:600;font-size:13px}.gf-t .frame{font-weight:600}
.gf-t .paper{fill:var(--paper)}.gf-t .grid{stroke:var(--line);fill:none}.gf-t .area{fill:var(--area);stroke:none}
.gf-t .act{fill:var(--act);stroke:var(--edge);stroke-width:1}.gf-t .failed{stroke:var(--bad);stroke-width:2}
.gf-t .cancelled{stroke-dasharray:2 2}.gf-t .running{stroke-dasharray:6 3}
.gf-t .model{fill:var(--model)}.gf-t .call{fill:var(--call)}.gf-t .lost{fill:none;stroke:var(--bad);stroke-width:1.5}
.gf-t .many{stroke:var(--edge);stroke-width:1}.gf-t .bare{stroke:none}.gf-t .hatched{fill:url(#gf-t-many)}
.gf-t .light{font-weight:400;font-size:11px}.gf-t .mark{fill:var(--bad);font-weight:700}
.gf-t .path{stroke:var(--path);stroke-width:2.6;fill:none}.gf-t .thin{stroke:var(--path);stroke-width:1;stroke-dasharray:1.5 2.5;fill:none}
""".rstrip()
)
COLOURS = dict(colour.removeprefix("--").split(":") for colour in LIGHT.split(";"))
"""The colours of the light theme by name."""
_CLASS = re.compile(r' class="([a-z ]+)"')
_LOOKS: dict[str, dict[str, str]] = {
    "dim": {"fill": COLOURS["dim"]},
    "small": {"font-size": "10"},
    "head": {"font-weight": "600", "font-size": "13"},
    "light": {"font-weight": "400", "font-size": "11"},
    "frame": {"font-weight": "600"},
    "paper": {"fill": COLOURS["paper"]},
    "grid": {"stroke": COLOURS["line"], "fill": "none"},
    "area": {"fill": COLOURS["area"]},
    "act": {"fill": COLOURS["act"], "stroke": COLOURS["edge"]},
    "bare": {"stroke": "none"},
    "hatched": {"fill": "url(#gf-t-many)"},
    "failed": {"stroke": COLOURS["bad"], "stroke-width": "2"},
    "cancelled": {"stroke-dasharray": "2 2"},
    "running": {"stroke-dasharray": "6 3"},
    "model": {"fill": COLOURS["model"]},
    "call": {"fill": COLOURS["call"]},
    "lost": {"fill": "none", "stroke": COLOURS["bad"], "stroke-width": "1.5"},
    "many": {"stroke": COLOURS["edge"]},
    "mark": {"fill": COLOURS["bad"], "font-weight": "700"},
    "path": {"stroke": COLOURS["path"], "stroke-width": "2.6", "fill": "none"},
    "thin": {"stroke": COLOURS["path"], "stroke-dasharray": "1.5 2.5", "fill": "none"},
}
"""What each class looks like where no style sheet is read."""


def with_looks(svg: str) -> str:
    """The text of a picture with what each class looks like as attributes of its elements."""
    return _CLASS.sub(_with_looks, svg)


def _with_looks(found: re.Match[str]) -> str:
    looks: dict[str, str] = {}
    for name in found[1].split():
        looks |= _LOOKS.get(name, {})
    attributes = found[0]
    for name, value in looks.items():
        attributes += f' {name}="{value}"'
    return attributes
