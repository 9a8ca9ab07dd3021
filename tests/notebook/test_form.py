"""The form of a run that waits: what it shows, what an answer does, and what is left where widgets are missing."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph, Human, Store, node
from graphflow.messages.types import schema_of
from graphflow.notebook import form as form_module
from graphflow.notebook import shown, tables
from graphflow.notebook.form import QuestionForm
from tests.notebook.test_display import harmless
from tests.runtime.waits import Approved, Draft, Rejected


@node
async def write(text: str) -> Draft:
    return Draft(text=text)


@node
async def tell(verdict: Approved | Rejected) -> str:
    return type(verdict).__name__


editor: Human[Any, Any] = Human("editor", input=Draft, output=Approved | Rejected)
DESK = Graph("desk", START >> write >> editor >> tell >> END)


def page_source(name: str) -> str:
    """The script of a page, as the widget gives it to a browser: what asks questions stands before it."""
    folder = Path(form_module.__file__).parent
    parts = [(folder / part).read_text(encoding="utf-8") for part in ("questions.js", name)]
    return "".join(parts)


async def answered(form: QuestionForm, value: Any, arm: str = "") -> None:
    """What a click in the browser does."""
    (question,) = form.widget.questions
    form.widget.answer = {"id": question["id"], "value": value, "arm": arm}
    assert form.answering is not None
    await form.answering


def test_it_shows_what_is_asked_and_an_answer_lets_the_run_go_on(tmp_path: Path) -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        async with Store.open(f"sqlite:{tmp_path / 'runs.db'}") as store:
            form = QuestionForm(await DESK.run("bees <b>fly</b>", store=store, id="r"))
            (question,) = form.widget.questions
            assert (question["title"], question["lines"]) == (
                "editor (in desk)",
                ["text: bees <b>fly</b>"],
            )
            assert {arm["$ref"].rpartition("/")[2] for arm in question["schema"]["anyOf"]} == {
                "Approved",
                "Rejected",
            }
            await answered(form, {"nonsense": 1})
            assert "wants Approved | Rejected" in form.widget.problem
            assert form.run.status == "waiting"
            await answered(form, {"why": "dull"}, "Rejected")
            assert (form.run.status, form.run.output) == ("completed", "Rejected")
            assert (form.widget.questions, form.widget.status) == ([], "run r: completed: Rejected")

    asyncio.run(main())


def test_the_bundle_holds_the_form_only_where_somebody_can_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        run = await DESK.run("bees")
        assert set(shown(run)) == {"text/html", "text/plain"}
        monkeypatch.setattr(tables, "in_notebook", lambda: True)
        assert "application/vnd.jupyter.widget-view+json" in shown(run)
        await run.answer("editor", Approved(text="x"))
        done = await DESK.resume(run.id, store=run.store)
        assert set(shown(done)) == {"text/html", "text/plain"}

    asyncio.run(main())


def test_without_widgets_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_module, "new_widget", lambda _: None)
    monkeypatch.setattr(tables, "in_notebook", lambda: True)

    async def main() -> None:
        run = await DESK.run("<script>alert(1)</script>")
        bundle = shown(run)
        assert set(bundle) == {"text/html", "text/plain"}
        html = bundle["text/html"]
        harmless(html)
        assert "waits for an answer" in html
        assert "await run.answer(" in html
        assert run.id in html

    asyncio.run(main())


def test_the_page_parses_nothing_of_what_is_asked() -> None:
    source = page_source("form.js")
    for word in ("innerHTML", "insertAdjacentHTML", "eval(", "document.write", "http:", "https:"):
        assert word not in source


@pytest.mark.skipif(
    shutil.which("node") is None, reason="there is no node to run the page's half with"
)
def test_the_page_sends_what_was_filled_in(tmp_path: Path) -> None:
    schema = schema_of(Approved | Rejected)
    questions = [
        {"id": "q", "about": "human", "title": "editor", "lines": ["text"], "schema": schema},
        {
            **{"id": "p", "about": "approval", "title": "pay", "lines": [], "schema": {}},
            "arguments": '{"amount": 3}',
        },
    ]
    here = Path(__file__).parent
    page = tmp_path / "form.mjs"
    page.write_text(page_source("form.js"), encoding="utf-8")
    command = ["node", str(here / "form_page.mjs"), str(page), json.dumps(questions)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sent = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["id"], answer["value"], answer["arm"]) for answer in sent] == [
        ("q", {"text": "fine"}, "Approved"),
        ("q", {"why": "dull"}, "Rejected"),
        ("p", {"consent": "allow"}, ""),
        ("p", {"consent": "always"}, ""),
        ("p", {"consent": "deny", "reason": ""}, ""),
        ("p", {"consent": "edit", "arguments": {"amount": 3}}, ""),
    ]
