"""A chat in a real JupyterLab in a headless browser: what is typed is answered, and questions are answered in their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.lab import browser_page, chromium, jupyter_lab, opened, run_cell, write_notebook

SHOP = """
from pydantic import BaseModel
from graphflow import END, START, Agent, Graph, Human, node, tool
from graphflow.testing import ScriptedModel, calls, says

class Approved(BaseModel):
    text: str

class Rejected(BaseModel):
    why: str

@tool(approval=True, effects=["writes", "network"])
async def refund(order: str, amount: int) -> str:
    \"\"\"Pays back.\"\"\"
    return f"{amount} paid back for {order}"

@node
async def send(verdict: Approved | Rejected) -> str:
    return verdict.text if isinstance(verdict, Approved) else f"Not sent: {verdict.why}"

clerk = Agent("clerk", input=str, tools=[refund])
editor = Human("editor", input=str, output=Approved | Rejected)
shop = Graph("shop", START >> clerk >> editor >> send >> END)
model = ScriptedModel(
    calls("refund", order="A-17", amount=90),
    says("Your <b>90 euros</b> for A-17 are on their way."),
    says("You are welcome."),
)
chat = shop.chat("user:42", store="sqlite:chats.db", model=model)
"""
AGAIN = "[each.text for each in await chat.history()], model.requests[1].turns[-1]"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    chromium()
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "chat.ipynb", SHOP, "chat", AGAIN, "chat")
    with jupyter_lab(folder) as (address, token):
        yield address, token, folder


def say(page: Any, words: str) -> None:
    page.wait_for_selector(".gf-chat .gf-line textarea:enabled")
    page.locator(".gf-chat .gf-line textarea").first.fill(words)
    page.keyboard.press("Enter")


@pytest.mark.slow
def test_a_chat_is_held_with_an_approval_and_a_question(lab: tuple[str, str, Path]) -> None:
    with browser_page() as (page, errors):
        opened(page, lab, "chat.ipynb")
        run_cell(page, 0)
        run_cell(page, 1)
        say(page, "I want my money back for A-17.")
        question = page.locator(".gf-chat .gf-question")
        question.locator("text=refund (in shop) needs approval").wait_for()
        asked = question.text_content()
        for words in ("It writes and uses the network.", "order: A-17", "amount: 90"):
            assert words in asked
        # Enter is no clear yes, and nothing can be said meanwhile.
        question.locator("input").press("Enter")
        question.locator("button:text-is('change it')").click()
        question.locator("textarea").fill('{"order": "A-17", "amount": 80}')
        assert page.locator(".gf-chat .gf-line textarea").is_disabled()
        page.screenshot(path=str(lab[2] / "approval.png"))
        question.locator("button:text-is('allow it so')").click()

        question.locator("text=editor (in shop)").wait_for()
        assert "Your <b>90 euros</b> for A-17 are on their way." in question.text_content()
        assert page.locator(".gf-chat b").count() == 0
        question.locator("select").select_option(label="Rejected")
        # Its keys are its own: an "a" must not make a cell.
        question.locator("textarea:visible").click()
        page.keyboard.type("a bit dull")
        page.screenshot(path=str(lab[2] / "question.png"))
        cells = page.locator(".jp-CodeCell").count()
        question.locator("button:text-is('answer')").click()
        page.locator(".gf-chat .gf-answer:text('Not sent: a bit dull')").wait_for()
        assert page.locator(".gf-chat .gf-said").all_text_contents() == [
            "I want my money back for A-17."
        ]
        assert page.locator(".jp-CodeCell").count() == cells

        say(page, "Thanks.")
        question.locator("text=editor (in shop)").wait_for()
        question.locator("button:text-is('answer')").click()  # the text is empty, which fits
        page.wait_for_function("() => document.querySelectorAll('.gf-chat .gf-said').length === 2")
        page.wait_for_selector(".gf-chat .gf-line textarea:enabled")
        page.locator(".gf-chat").screenshot(path=str(lab[2] / "talk.png"))
        page.locator(".gf-chat button:text-is('undo')").click()
        page.wait_for_function("() => document.querySelectorAll('.gf-chat .gf-said').length === 1")

        run_cell(page, 2)
        told = page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output")
        told.wait_for()
        assert "Not sent: a bit dull" in told.text_content()
        assert "80 paid back for A-17" in told.text_content()
        assert errors == []
