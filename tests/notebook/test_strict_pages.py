"""Pictures and reports in a real browser, on pages whose policy allows no inline style: nothing is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow.project import load
from tests.notebook.lab import browser_page
from tests.notebook.walks import walked

COLOUR = "e => getComputedStyle(e).fill"


def strict(body: str) -> str:
    policy = "default-src 'none'; style-src 'none'"
    return f'<!doctype html><html><head><meta http-equiv="Content-Security-Policy" content="{policy}"></head><body>{body}</body></html>'


@pytest.mark.slow
def test_a_picture_needs_no_inline_style() -> None:
    light, dark = (load("desk").to_svg(theme=theme) for theme in ("light", "dark"))
    run = walked()
    with browser_page() as (page, errors):
        for svg, fill in (
            (light, "rgb(253, 235, 196)"),
            (dark, "rgb(67, 51, 15)"),
            (run.to_svg(theme="light"), None),
        ):
            page.set_content(strict(svg))
            agent = page.locator("g.gf-agent path, g.gf-agent polygon").first
            assert fill is None or agent.evaluate(COLOUR) == fill
            assert "Helvetica" in page.locator("svg text").first.evaluate(
                "e => getComputedStyle(e).fontFamily"
            )
        assert errors == []


@pytest.mark.slow
def test_what_follows_the_theme_is_light_where_its_sheet_is_refused() -> None:
    picture, timeline = load("desk").to_svg(), walked().timeline().svg
    with browser_page(color_scheme="dark") as (page, _):
        for svg, part, fill in (
            (picture, "g.gf-agent path", "rgb(253, 235, 196)"),
            (timeline, "rect.act", "rgb(223, 232, 243)"),
        ):
            page.set_content(strict(svg))
            assert page.locator(part).first.evaluate(COLOUR) == fill
            page.goto("about:blank")  # the policy of a page lasts as long as the page
            page.set_content(svg)
            assert page.locator(part).first.evaluate(COLOUR) != fill, "and dark where it is not"


@pytest.mark.slow
def test_a_report_keeps_its_own_policy(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    walked().report(str(path))
    with browser_page() as (page, errors):
        page.goto(path.as_uri())
        bar: Any = page.locator(".card").first.evaluate("e => getComputedStyle(e).borderRadius")
        assert bar == "8px", "its sheet is read"
        assert page.locator("rect.act").first.evaluate(COLOUR) == "rgb(223, 232, 243)"
        assert errors == []
