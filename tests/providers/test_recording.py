"""Record what a model said, replay it without the model, and see what differs when it does not fit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, Media, connect, errors, record, replay, tool
from graphflow.model.reply import gather
from graphflow.model.seam import Request
from graphflow.model.turns import UserTurn
from graphflow.redaction import scrub
from graphflow.testing import ScriptedModel, calls, fails, gives, says
from tests.conftest import walk
from tests.providers.reach import model as reached
from tests.providers.reach import server
from tests.strict import Answer


class City(BaseModel):
    name: str


@tool
async def find(name: str) -> str:
    """Find a city."""
    return f"{name} is in Norway"


def test_a_whole_loop_is_replayed_to_the_word(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a", tools=[find], output=City, system="Find it.") >> END)
    first = walk(
        graph,
        "where?",
        model=record(path, ScriptedModel(calls("find", name="Oslo"), gives(City(name="Oslo")))),
    )
    model = replay(path)
    again = walk(graph, "where?", model=model)
    assert again.output == first.output == City(name="Oslo")
    assert [s.output for s in again.steps] == [s.output for s in first.steps]
    assert again.usage.tokens == first.usage.tokens
    assert model.asked == 2


def test_what_providers_want_back_survives_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    script = [
        Answer(thinking="Hm.", calls=(("find", {"name": "Oslo"}),)),
        Answer(text="In Norway."),
    ]
    graph = Graph("g", START >> Agent("a", tools=[find], thinking=2048, max_tokens=4000) >> END)
    with server("anthropic", script) as strict:
        walk(graph, "where?", model=record(path, reached("anthropic", strict)))
        assert strict.refused == []
    assert walk(graph, "where?", model=replay(path)).output == "In Norway."


def test_a_miss_shows_what_differs_from_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph(
        "g", START >> Agent("a", prompt="Capital of {{ message }}?", temperature=0) >> END
    )
    walk(graph, "Norway", model=record(path, ScriptedModel(says("Oslo"))))
    walk(graph, "Italy", model=record(path, ScriptedModel(says("Rome")), append=True))
    run = walk(graph, "Ital", model=replay(path))
    assert isinstance(run.error, errors.ReplayMiss)
    assert "2 recorded answers" in str(run.error)
    assert '-   "content": "Capital of Italy?"' in str(run.error)
    assert '+   "content": "Capital of Ital?"' in str(run.error)


def test_equal_requests_get_their_answers_in_order(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a") >> END)
    recorder = record(path, ScriptedModel(says("one"), says("two")))
    for _ in range(2):
        walk(graph, "x", model=recorder)
    model = replay(path)
    assert [walk(graph, "x", model=model).output for _ in range(3)] == ["one", "two", "two"]


def test_recording_again_replaces_the_case(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a") >> END)
    for answer in ("old", "new"):
        walk(graph, "x", model=record(path, ScriptedModel(says(answer))))
    assert walk(graph, "x", model=replay(path)).output == "new"


def test_what_was_recorded_and_never_asked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a") >> Agent("b", prompt="More: {{ message }}") >> END)
    walk(graph, "x", model=record(path, ScriptedModel(says("one"), says("two"))))
    model = replay(path)
    with pytest.raises(errors.ReplayMiss, match=r"2 answers .* never asked for"):
        model.done()
    walk(graph, "x", model=model)
    model.done()


def test_errors_are_replayed_too(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a") >> END)
    walk(
        graph,
        "x",
        model=record(
            path, ScriptedModel(fails(errors.RateLimited("slow", retry_after=7, status=429)))
        ),
    )
    run = walk(graph, "x", model=replay(path))
    assert isinstance(run.error, errors.RateLimited)
    assert (run.error.retry_after, run.error.status) == (7, 429)


def test_secrets_are_scrubbed_when_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "tr0ub4dor&3-horse")
    secret = "-".join(["sk", "ant", "api03", "A1b2C3d4" * 3])
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a", system=f"Use {secret} and tr0ub4dor&3-horse.") >> END)
    walk(
        graph,
        "x",
        model=record(path, ScriptedModel(says(f"I used Bearer abcdefghijklmnop1234 and {secret}"))),
    )
    text = path.read_text()
    assert secret not in text
    assert "tr0ub4dor" not in text
    assert "abcdefghijklmnop1234" not in text
    assert "[SHOP_API_KEY]" in text
    assert walk(graph, "x", model=replay(path)).output.endswith("[secret]")


@pytest.mark.parametrize("text", ["no key here", "sk-short", "a task-force of 12", ""])
def test_plain_text_is_left_alone(text: str) -> None:
    assert scrub(text) == text


def test_pictures_are_part_of_the_request(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    asked = [
        Request((UserTurn(("Look", Media(mime="image/png", data=bytes([n] * 8)))),)) for n in (1, 2)
    ]
    asyncio.run(gather(record(path, ScriptedModel(says("one"))).stream(asked[0])))
    assert asyncio.run(gather(replay(path).stream(asked[0]))).text == "one"
    with pytest.raises(errors.ReplayMiss):
        asyncio.run(gather(replay(path).stream(asked[1])))


@pytest.mark.parametrize(
    "line", ["{half", "[]", '{"model": "m"}', '{"model":"m","request":{},"events":[{"Nope":{}}]}']
)
def test_a_line_that_is_no_recording_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(errors.FileUnreadable, match="line 1"):
        replay(path)
    with pytest.raises(errors.FileUnreadable, match="cannot be read"):
        replay(tmp_path / "none.jsonl")


def test_an_answer_that_was_cancelled_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"

    async def main() -> None:
        stream: Any = record(path, ScriptedModel(says("a b c d"))).stream(Request((UserTurn("x"),)))
        await anext(stream)
        await stream.aclose()

    asyncio.run(main())
    assert not path.exists()


def test_a_recording_is_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "case.jsonl"
    asyncio.run(
        gather(
            record(path, ScriptedModel(says("one\u2028two"))).stream(
                Request((UserTurn("x\u2028y"),))
            )
        )
    )
    [line] = path.read_text().split("\n")[:-1]
    assert json.loads(line)["request"] == {"turns": [{"is": "UserTurn", "content": "x\u2028y"}]}
    assert connect is not None


@pytest.mark.parametrize("torn", ['{"model": "m", "requ', '{"model": "m\\u00'])
def test_a_torn_line_is_left_out_and_nothing_is_glued_to_it(torn: str, tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a", input=str) >> END)
    walk(graph, "one", model=record(path, ScriptedModel("1")))
    with path.open("a") as sink:  # whoever wrote it was killed in the middle of a line
        sink.write(torn)
    with pytest.warns(UserWarning, match="torn"):
        assert walk(graph, "one", model=replay(path)).output == "1"
    with pytest.warns(UserWarning, match="torn"):
        walk(graph, "two", model=record(path, ScriptedModel("2"), append=True))
    model = replay(path)
    assert [walk(graph, said, model=model).output for said in ("one", "two")] == ["1", "2"]
    assert path.read_text().count("\n") == 2


def test_a_last_line_without_an_end_is_kept_if_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a", input=str) >> END)
    walk(graph, "one", model=record(path, ScriptedModel("1")))
    path.write_text(path.read_text().rstrip("\n"))
    walk(graph, "two", model=record(path, ScriptedModel("2"), append=True))
    model = replay(path)
    assert [walk(graph, said, model=model).output for said in ("one", "two")] == ["1", "2"]


def test_a_torn_line_in_the_middle_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    walk(
        Graph("g", START >> Agent("a", input=str) >> END),
        "one",
        model=record(path, ScriptedModel("1")),
    )
    path.write_text('{"model": "m", "requ\n' + path.read_text())
    with pytest.raises(errors.FileUnreadable, match="line 1"):
        replay(path)


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a", input=str) >> END)
    model = record(path, ScriptedModel("1", "2", "3"))
    walk(graph, "one", model=model)
    before = path.read_bytes()
    opened = Path.open

    class Full:
        """A file on a disk that has room for ten bytes more."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            return int(self.file.write(data[:10]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, *a, **k: Full(opened(self, *a, **k)))
        with pytest.warns(UserWarning, match="could not be written"):
            assert walk(graph, "two", model=model).output == "2"
    assert path.read_bytes() == before
    walk(graph, "three", model=model)
    assert walk(graph, "three", model=replay(path)).output == "3"
