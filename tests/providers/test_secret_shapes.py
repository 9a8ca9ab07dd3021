"""What is taken out of a text as secret, what is left in it, and that nothing leaves a run without going through that."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from graphflow import END, START, Agent, Context, Graph, errors, node, tool
from graphflow import redaction as module
from graphflow.events import ModelRetried, to_record
from graphflow.model import Finished, ModelEvent, Request, Retried, TextDelta
from graphflow.redaction import remember, scrub, scrubbed
from graphflow.render import write_report
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk

CANARY = "canary-7f3a9c51d2e84b60"


@pytest.fixture
def told() -> Iterator[None]:
    """What is told in a test is forgotten after it."""
    held = (module._remembered, module._starts, module._words, module._given)
    before = [dict(each) for each in held]
    yield
    for each, old in zip(held, before, strict=True):
        each.clear()
        each.update(old)  # type: ignore[arg-type]  # the same kinds as before
    module._latest.clear()
    module._known.clear()


# -- shapes ----------------------------------------------------------------------------------------
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc+/=\n-----END RSA PRIVATE KEY-----"
TOKENS = [
    *("sk-abcdefghijklmnop1234", "sk-ant-api03-abcdefghijklmnop", "sk-proj-abcdefghijklmnop"),
    *(
        "sk_live_abcdefghij0123456789",
        "sk_test_abcdefghij0123456789",
        "rk_live_abcdefghij0123456789",
    ),
    *(
        "xoxb-123456789012-abcdefABCDEF",
        "xoxp-123456789012-abcdefABCDEF",
        "xapp-1-A0123456789-abcdef",
    ),
    *("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "github_pat_11ABCDEFG0abcdefghijklmnopqrstuv"),
    *(
        "glpat-abcdefghij0123456789",
        "gldt-abcdefghij0123456789",
        "AKIAABCDEFGHIJKLMNOP",
        "ASIAABCDEFGHIJKLMNOP",
    ),
    *(
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "ya29.a0123456789abcdefghijklmnop",
        "hf_abcdefghijklmnopqrstuvwx",
    ),
    *("npm_abcdefghijklmnopqrstuvwxyz0123456789", "pypi-abcdefghijklmnopqrstuvwxyz0123456789"),
    *(
        "SG.abcdefghijklmnop1234.abcdefghijklmnop1234",
        "hvs.abcdefghijklmnopqrstuvwx",
        "dckr_pat_abcdefghijklmnopqrst",
    ),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijklmnop",
    KEY,
    KEY.replace("RSA", "EC").replace("\n", "\\n"),
    KEY.replace("RSA ", ""),
    KEY.replace("RSA", "OPENSSH"),
]


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:14])
def test_a_token_of_a_known_shape_is_taken_out_wherever_it_stands(token: str) -> None:
    for text in (
        "{}",
        "the key {} is wrong",
        '{{"a": "{}"}}',
        "<{}>",
        "a={};",
        "x\n{}\ny",
        "{}{{}}",
    ):
        given = text.replace("{}", token, 1).replace("{{", "{").replace("}}", "}")
        assert token not in scrub(given)
        assert "[secret]" in scrub(given)
    assert scrub(f"before {token} after").split()[::2] == ["before", "after"]
    assert scrub(token[:12] + " and on") == token[:12] + " and on" or "BEGIN" in token


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://user:pw@host/db", "postgres://user:[secret]@host/db"),
        ("postgres://user:p@ss:w0rd@host/db", "postgres://user:[secret]@host/db"),
        ("redis://:sekrit@h:6379/0", "redis://:[secret]@h:6379/0"),
        ("user:pw@host", "user:[secret]@host"),
        ("log in as admin:sw0rdf1sh@10.0.0.1 now", "log in as admin:[secret]@10.0.0.1 now"),
        ("http://h/x?api_key=abc&b=1", "http://h/x?api_key=[secret]&b=1"),
        ("http://h/x?b=1&access_token=abc#c", "http://h/x?b=1&access_token=[secret]#c"),
        ("http://h/x?sig=abc%2F", "http://h/x?sig=[secret]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [secret]"),
        ("authorization: Bearer abcdefghijklmnop1234", "authorization: Bearer [secret]"),
        ("'Authorization': 'Token abc123def456'", "'Authorization': 'Token [secret]'"),
        ("password=hunter2x!", "password=[secret]"),
        ('{"password": "hunter2x!"}', '{"password": "[secret]"}'),
        ('{\\"client_secret\\": \\"hunter2x!\\"}', '{\\"client_secret\\": \\"[secret]\\"}'),
        ("DB_PASSWORD: hunter2x!", "DB_PASSWORD: [secret]"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+ghi123", "AWS_SECRET_ACCESS_KEY=[secret]"),
        ('{"password": "two words"}', '{"password": "[secret]"}'),
        ("Login(user='bob', password='two words')", "Login(user='bob', password='[secret]')"),
    ],
    ids=range(18),  # pytest puts the name of a test into the environment
)
def test_a_secret_is_known_by_its_place(text: str, left: str) -> None:
    assert scrub(text) == left
    assert scrub(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "the password is required",
        "password: required",
        "secret: yes",
        "mailto:bob@example.com",
        "To:bob@example.com",
        "git@github.com:a/b.git",
        "nginx:1.25@sha256:abcdef",
        "at 12:30@noon",
        "http://host:8080/path@x",
        "a bearer of bad news",
        "basic understanding of things",
        "token_limit=12345678",
        "max_tokens: 4096",
        "skeleton-key",
        "risk-assessment-for-everybody",
        "def f(a: int) -> None: ...",
        "nodes.tools.search:search",
        "[OPENAI_API_KEY] and [secret]",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "",
        "x",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert scrub(text) == text


# -- what is known ---------------------------------------------------------------------------------
@pytest.mark.usefixtures("told")
def test_secrets_that_overlap_leave_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE_API_KEY", "abcdefgh12")
    monkeypatch.setenv("TWO_API_KEY", "gh12345678xyz")
    remember("12345678xyzabc", "the third")
    assert scrub("<abcdefgh12345678xyzabc>") == "<[the third]>"
    assert scrub("abcdefgh12 gh12345678xyz") == "[ONE_API_KEY] [TWO_API_KEY]"
    assert scrub("abcdefgh12abcdefgh12") == "[ONE_API_KEY][ONE_API_KEY]"
    monkeypatch.setenv("LONG_TOKEN", "abcdefgh12-and-more")
    assert scrub("abcdefgh12-and-more") == "[LONG_TOKEN]"


letters = st.text("ab1", min_size=8, max_size=14)


@pytest.mark.usefixtures("told")
@settings(max_examples=200, deadline=None)
@given(
    st.lists(letters, min_size=1, max_size=4, unique=True),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.integers(0, 6),
)
def test_no_piece_of_a_secret_is_left_however_they_lie_over_each_other(
    secrets: list[str], order: list[int], shared: int
) -> None:
    module._remembered.clear()
    module._starts.clear()
    hard = [secret for secret in secrets if not module.is_word(secret)]
    for secret in hard:
        remember(secret, "known")
    text = ""
    for number in order:
        piece = secrets[number % len(secrets)]
        text = (
            text + piece
            if text[-shared:] != piece[:shared] or not shared
            else text + piece[shared:]
        )
    left = scrub(f"<{text}>")
    for secret in hard:
        assert secret not in left
    covered = [False] * len(text)
    for secret in hard:
        for at in range(len(text)):
            if text.startswith(secret, at):
                covered[at : at + len(secret)] = [True] * len(secret)
    assert (
        left.replace("[known]", "")
        == "<" + "".join(c for c, hidden in zip(text, covered, strict=True) if not hidden) + ">"
    )


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "word", ["postgres", "development", "Password", "CHANGEME", "letmein", "test", "12345678"]
)
def test_a_password_that_is_a_word_does_not_blot_it_out(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", word)
    text = f"The {word} server answers {word}s of {word}."
    assert scrub(text) == text
    assert scrub(word) == "[DB_PASSWORD]"
    assert scrubbed({"given": word, "said": text}) == {"given": "[DB_PASSWORD]", "said": text}
    assert word not in scrub(f"url=x://me:{word}@host")
    assert scrubbed({"password": word}) == {"password": "[secret]"}
    if len(word) >= 6:
        assert word not in scrub(f"password={word}").removeprefix("password")


@pytest.mark.usefixtures("told")
def test_what_is_short_and_no_word_is_found_as_a_word_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunt3r2")
    remember("k3y", "too short to be one")
    assert scrub("it is hunt3r2, and xhunt3r2x k3y") == "it is [DB_PASSWORD], and xhunt3r2x k3y"


def test_a_password_within_an_address_that_a_variable_holds_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:Tr0ub4dor&3@db/x")
    assert scrub("wrong password Tr0ub4dor&3 for me") == "wrong password [DATABASE_URL] for me"


def test_what_is_written_in_another_way_is_the_same_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = 'p"ä/ss\\w0rd +&'
    monkeypatch.setenv("SOME_PASSWORD", secret)
    for spelling in (
        secret,
        quote(secret, safe=""),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
    ):
        left = scrub(f"<{spelling}>")
        assert "[SOME_PASSWORD]" in left
        assert "w0rd" not in left
    monkeypatch.setenv("KEY_FILE", "first-line-of-0123456789\nsecond-line-of-0123456789")
    assert scrub("it says second-line-of-0123456789") == "it says [KEY_FILE]"


def test_the_working_directory_and_where_a_secret_lies_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setenv("OLDPWD", str(tmp_path))
    monkeypatch.setenv("CREDENTIALS_FILE", str(tmp_path))
    assert scrub(f"in {tmp_path}/x") == f"in {tmp_path}/x"


def test_a_variable_counts_from_when_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of its own: what was once passed in as a key is known from then on.
    late = f"canary-{uuid4().hex}"
    assert scrub(late) == late
    monkeypatch.setenv("LATE_KEY", late)
    assert scrub(late) == "[LATE_KEY]"
    monkeypatch.delenv("LATE_KEY")
    assert scrub(late) == late


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text(":@/=&?#[]ab1 -\"'\\", max_size=80))
def test_what_has_gone_through_goes_through_unchanged(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)


# -- everything that leaves ------------------------------------------------------------------------
class Login(BaseModel, frozen=True):
    user: str
    password: str


def secretive() -> Graph[Any, Any]:
    """A graph that says its secret everywhere: messages, errors, retries, frames, notes, calls, outputs."""

    @tool
    async def look(at: str) -> str:
        """Look."""
        raise ValueError(f"looked with {CANARY}")

    tries: list[int] = []

    @node(retry=2)
    async def flaky(text: str) -> str:
        tries.append(1)
        if len(tries) % 2:
            raise ValueError(f"tried {CANARY}")
        return f"{text} {CANARY}"

    @node
    async def login(text: str, ctx: Context) -> Login:
        ctx.emit("note", {"key": CANARY, CANARY: 1})
        ctx.keep("file", f"kept {CANARY}")
        return Login(user="bob", password="correct horse")

    @node
    async def broken(given: Login) -> str:
        raise RuntimeError(f"broken with {CANARY} and postgres://me:pw123@host")

    inner = Graph("inner", START >> flaky >> login >> broken >> END)
    agent = Agent("agent", input=str, tools=[look])
    return Graph("outer", START >> agent >> inner >> END)


@pytest.mark.parametrize("observed", [False, True])
def test_nothing_that_leaves_a_run_holds_a_secret(
    observed: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Files of events, reports of a run and of its file, pictures, timelines, tables, and what the command line says."""
    from graphflow.cli.show import show_error
    from graphflow.notebook import shown

    monkeypatch.setenv("SOME_API_KEY", CANARY)
    model = ScriptedModel(calls("look", at=CANARY), f"the answer is {CANARY}")
    run = walk(secretive(), f"go {CANARY}", model=model, observed=observed)
    assert run.status == "failed"
    kinds = {event.kind for event in run.events}
    assert {
        "node.retry",
        "frame.exit",
        "run.end",
        "emit",
        "artifact",
        "call.error",
        "node.error",
    } <= kinds
    lines = [json.dumps(record, allow_nan=False) for record in run.records()]
    (tmp_path / "events.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run.declared is not None
    run.report(str(tmp_path / "run.html"))
    write_report(tmp_path / "events.jsonl", tmp_path / "file.html", run.declared)
    for ending in ("svg", "dot", "mmd", "txt"):
        run.draw(str(tmp_path / f"run.{ending}"))
    run.timeline().save(str(tmp_path / "time.svg"))
    show_error(run.error)  # type: ignore[arg-type]  # it has failed
    told = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    told |= {
        "screen": capsys.readouterr().err,
        "table": str(shown(run)),
        "events": str(shown(run.events)),
    }
    told |= {
        f"text of {e.kind}": str(e.error)
        for e in run.events
        if isinstance(getattr(e, "error", None), str)
    }
    for name, text in told.items():
        assert CANARY not in text, (name, text[max(0, text.find(CANARY) - 200) : text.find(CANARY)])
        assert "correct horse" not in text, name
        assert "pw123" not in text, name
    assert CANARY not in run.to_frame().to_csv() + run.to_frame(events=True).to_csv()
    assert "[SOME_API_KEY]" in told["events.jsonl"]
    assert len(told) > 8


class Quoting:
    """A model of the user's that quotes a key when it tells of a failed attempt."""

    name = "quoting"

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        yield Retried(2, 0.0, errors.ServerError(f"the server was given {CANARY}"))
        yield TextDelta("done")
        yield Finished("stop")


def test_what_a_model_tells_of_failed_attempts_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_API_KEY", CANARY)
    run = walk(Graph("g", START >> Agent("a", input=str) >> END), "x", model=Quoting())
    [retry] = [event for event in run.events if isinstance(event, ModelRetried)]
    assert CANARY not in retry.error
    assert "[SOME_API_KEY]" in retry.error


def test_a_node_called_as_a_password_keeps_its_name_in_a_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "postgres")

    @node
    async def postgres(text: str) -> str:
        return "postgres"

    run = walk(Graph("g", START >> postgres >> END), "x", observed=True)
    records = [to_record(event) for event in run.events]
    [ended] = [record for record in records if record["kind"] == "node.end"]
    assert (ended["node"], ended["output"]) == ("postgres", "[DB_PASSWORD]")


def test_a_record_with_secrets_fits_the_run_that_it_is_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOME_API_KEY", CANARY)

    @node
    async def same(text: str) -> str:
        return text

    run = walk(Graph("g", START >> same >> END), f"go {CANARY}", observed=True)
    lines = [json.dumps(record, allow_nan=False) for record in run.records()]
    (tmp_path / "events.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run.declared is not None
    drawn = run.declared.draw(str(tmp_path / "g.svg"))
    assert not re.search(CANARY, Path(drawn).read_text())
