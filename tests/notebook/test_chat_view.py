"""A chat in a notebook: what it shows, what a click does, and what is left where widgets are missing."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Human, Store, node, tool
from graphflow.notebook import chat_view, shown, tables
from graphflow.notebook.chat_view import ChatView
from graphflow.testing import ScriptedModel, calls, says
from tests.notebook.test_display import harmless
from tests.notebook.test_form import page_source
from tests.runtime.waits import Approved, Draft, Rejected
from tests.waiting import eventually

CLERK = Graph("desk", START >> Agent("clerk", input=str) >> END)


@node
async def forever(text: str) -> str:
    return await asyncio.get_running_loop().create_future()


STUCK = Graph("stuck", START >> forever >> END)


@node
async def draft(text: str) -> Draft:
    return Draft(text=text)


@node
async def tell(verdict: Approved | Rejected) -> str:
    return f"{type(verdict).__name__} it is"


editor: Human[Any, Any] = Human("editor", input=Draft, output=Approved | Rejected)
DESK = Graph("desk", START >> draft >> editor >> tell >> END)


@tool(approval=True, effects=["writes", "network"])
async def refund(order: str, amount: int) -> str:
    """Pays back."""
    return f"{amount} paid back for {order}"


SHOP = Graph("shop", START >> Agent("clerk", input=str, tools=[refund]) >> END)


async def asked(view: ChatView, **request: Any) -> None:
    """What a click in the browser does."""
    view.widget.request = request
    assert view.working is not None
    await view.working


def test_what_is_typed_is_answered_and_shown_and_can_be_undone() -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        chat = CLERK.chat("user:42", model=ScriptedModel(says("Hello <b>Anna</b>."), says("Yes.")))
        view = ChatView(chat)
        await asked(view, what="say", text="I am Anna.")
        first = {"message": "I am Anna.", "who": "clerk", "answer": "Hello <b>Anna</b>."}
        assert view.widget.exchanges == [first]
        assert (view.widget.now, view.widget.status, view.widget.problem) == ("", "", "")
        await asked(view, what="say", text="Really?")
        assert [each["answer"] for each in view.widget.exchanges] == ["Hello <b>Anna</b>.", "Yes."]
        await asked(view, what="undo")
        assert view.widget.exchanges == [first]
        # A view that is opened later knows what was said before it.
        later = ChatView(chat)
        await later.load()
        assert later.widget.exchanges == [first]
        await asked(view, what="undo", again=1)
        await asked(view, what="undo", again=2)
        assert "undo(1)" in view.widget.problem

    asyncio.run(main())


async def answered(view: ChatView, value: Any, arm: str = "") -> None:
    (question,) = view.widget.questions
    await asked(view, what="answer", id=question["id"], value=value, arm=arm)


def test_a_question_is_answered_in_its_place() -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        view = ChatView(DESK.chat("user:42"))
        await asked(view, what="say", text="bees <b>fly</b>")
        (question,) = view.widget.questions
        assert question["title"] == "editor (in desk)"
        assert question["lines"] == ["text: bees <b>fly</b>"]
        assert (view.widget.state, view.widget.message) == ("waiting", "bees <b>fly</b>")
        await answered(view, {"nonsense": 1})
        assert "wants Approved | Rejected" in view.widget.problem
        assert view.widget.state == "waiting"
        await answered(view, {"why": "dull"}, "Rejected")
        assert (view.widget.questions, view.widget.state, view.widget.message) == ([], "", "")
        assert [each["answer"] for each in view.widget.exchanges] == ["Rejected it is"]

    asyncio.run(main())


def test_an_approval_shows_what_would_be_done_and_another_view_can_give_it(tmp_path: Path) -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        call = calls("refund", order="A-1", amount=90)
        async with Store.open(f"sqlite:{tmp_path / 'chats.db'}") as store:
            model = ScriptedModel(call, says("Done."))
            first = ChatView(SHOP.chat("user:42", store=store, model=model))
            await asked(first, what="say", text="My money!")
            # The kernel was restarted: the view of another one takes up what waits.
            view = ChatView(SHOP.chat("user:42", store=store, model=model))
            await view.load()
            (question,) = view.widget.questions
            assert question["title"] == "refund (in shop) needs approval"
            assert question["lines"] == [
                "It writes and uses the network.",
                "order: A-1",
                "amount: 90",
            ]
            assert json.loads(question["arguments"]) == {"order": "A-1", "amount": 90}
            edited = {"order": "A-1", "amount": 9}
            await answered(view, {"consent": "edit", "arguments": edited})
            assert [each["answer"] for each in view.widget.exchanges] == ["Done."]
            assert "9 paid back for A-1" in str(model.requests[-1])
            # Whoever answers second is told so, and sees how it stands.
            await asked(first, what="answer", id=question["id"], value="allow")
            assert "AnswerExists" in first.widget.problem
            assert first.widget.exchanges == view.widget.exchanges
            assert first.widget.state == ""

    asyncio.run(main())


def test_what_waits_can_be_given_up_and_who_talks_meanwhile_loses_nothing() -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        chat = DESK.chat("user:42")
        late = ChatView(chat)
        view = ChatView(chat)
        await asked(view, what="say", text="one")
        await asked(late, what="say", text="two")
        assert "ConversationBusy" in late.widget.problem
        assert (late.widget.state, late.widget.draft) == ("waiting", "two")
        assert late.widget.message == "one"
        await asked(late, what="stop")
        assert late.widget.status == "stopped; the conversation is as it was"
        assert (late.widget.state, late.widget.questions) == ("", [])
        assert await chat.history() == []

    asyncio.run(main())


def test_a_question_can_be_answered_while_the_rest_goes_on() -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        answered = asyncio.Event()

        @node
        async def long(text: str) -> str:
            await answered.wait()
            return text

        @node
        async def both(text: str, word: str) -> str:
            return f"{text} {word}"

        ask: Human[Any, Any] = Human("ask", input=str, output=str)
        graph = Graph(
            "both",
            START >> long >> both.into("text"),
            START >> ask >> both.into("word"),
            both >> END,
        )
        view = ChatView(graph.chat("user:42"))
        view.widget.request = {"what": "say", "text": "hello"}
        working = view.working
        assert working is not None
        await eventually(lambda: view.widget.questions)
        (question,) = view.widget.questions
        view.widget.request = {"what": "answer", "id": question["id"], "value": "Anna"}
        await eventually(lambda: not view.widget.questions)
        answered.set()
        await working
        assert [each["answer"] for each in view.widget.exchanges] == ["hello Anna"]

    asyncio.run(main())


def test_only_what_may_become_the_answer_is_shown_piece_by_piece() -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        first = Agent("first", input=str, prompt="{{ text }}")
        graph = Graph("two", START >> first >> Agent("second", input=str) >> END)
        view = ChatView(graph.chat("user:42", model=ScriptedModel(says("a thought"), says("Yes."))))
        seen: list[str] = []
        view.widget.observe(lambda change: seen.append(change["new"]), "now")
        await asked(view, what="say", text="x")
        assert [each for each in seen if each] == ["Yes."]

    asyncio.run(main())


def test_stop_stops_the_answer_and_nothing_of_it_is_kept() -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        chat = STUCK.chat("user:42")
        view = ChatView(chat)
        begun = asyncio.Event()
        view.widget.observe(lambda _: begun.set(), "status")
        view.widget.request = {"what": "say", "text": "x"}
        assert view.working is not None
        await begun.wait()
        view.widget.request = {"what": "stop"}
        await view.working
        assert view.widget.problem == ""
        assert view.widget.status == "stopped; the conversation is as it was"
        assert view.widget.exchanges == await chat.history() == []

    asyncio.run(main())


def test_without_widgets_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_view, "new_widget", lambda *_, **__: None)
    monkeypatch.setattr(tables, "in_notebook", lambda: True)
    bundle = shown(CLERK.chat("<script>alert(1)</script>"))
    assert set(bundle) == {"text/html", "text/plain"}
    harmless(bundle["text/html"])
    for words in ("await chat.say(", "await chat.answer(", "await chat.pending()"):
        assert words in bundle["text/html"]


def test_it_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anywidget")
    monkeypatch.setattr(tables, "in_notebook", lambda: True)

    async def main() -> None:
        bundle = CLERK.chat("user:42")._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle

    asyncio.run(main())


def test_the_page_parses_nothing_of_what_is_said() -> None:
    source = page_source("chat.js")
    for word in ("innerHTML", "insertAdjacentHTML", "eval(", "document.write", "http:", "https:"):
        assert word not in source


@pytest.mark.skipif(
    shutil.which("node") is None, reason="there is no node to run the page's half with"
)
def test_the_page_shows_text_and_sends_what_was_typed(tmp_path: Path) -> None:
    page = tmp_path / "chat.mjs"
    page.write_text(page_source("chat.js"), encoding="utf-8")
    exchanges = [{"message": "I am <b>", "who": "clerk", "answer": "<i>Hello"}]
    straw = Path(__file__).parent / "chat_page.mjs"
    command = ["node", str(straw), str(page), json.dumps(exchanges)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, said, second, stop, asked, allow, drop, look, typed, undo = [
        json.loads(line) for line in done.stdout.splitlines()
    ]
    assert first == ["I am <b>", "<i>Hello"]
    assert said == {"what": "say", "text": "hello", "sent": 0}
    assert second == ["I am <b>", "<i>Hello", "hello", "<i>Hel"]
    assert asked == ["<b>5"]
    assert (allow["what"], allow["id"], allow["value"]) == ("answer", "q", {"consent": "allow"})
    assert [each["what"] for each in (stop, drop, look, undo)] == ["stop", "stop", "go on", "undo"]
    assert typed == ["lost?"]
