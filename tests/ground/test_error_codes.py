"""Codes, hints and reports of errors: every class has its own, and what leaves the process holds no secret."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from graphflow import END, START, Agent, Graph, Limits, Store, node
from graphflow.errors import (
    AuthError,
    GraphflowError,
    LimitExceeded,
    RateLimited,
    StoreUnreachable,
    WalkError,
)
from graphflow.errors.cures import CURES
from graphflow.journal.codec.errors import decode_error, encode_error
from graphflow.runtime.failure import LONGEST_TEXT, MOST_CAUSES, ErrorReport
from graphflow.security import Secrets
from graphflow.testing import ScriptedModel, fails
from tests.conftest import walk
from tests.tools.error_page import PAGE, errors_hint, kinds, page

ALL = [kind for kind, _ in kinds()]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_and_a_cure_of_its_own(kind: type[GraphflowError]) -> None:
    assert kind.code in CURES
    assert errors_hint(kind) == CURES[kind.code]
    assert kind.retryable in (True, False, None)


def test_codes_are_unique_and_every_cure_has_its_error() -> None:
    codes = [kind.code for kind in ALL]
    assert sorted(codes) == sorted(set(codes))
    assert set(codes) == set(CURES)


def test_the_page_of_errors_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.tools.error_page"


def test_an_error_of_ones_own_is_described_where_its_class_is() -> None:
    class TooTired(WalkError):
        """Somebody's own."""

    class HTTPError(TooTired):
        """With an attribute that is called as ours is."""

        def __init__(self) -> None:
            super().__init__("gone")
            self.code = 404  # type: ignore[assignment]

    assert HTTPError.code == "http-error"
    assert ErrorReport.of(HTTPError()).code == "http-error"
    error = TooTired("good night")
    assert error.code == "too-tired"
    assert error.hint == CURES["walk-error"]
    assert error.url.endswith("#walk-error")


def test_a_code_survives_the_journal_and_pickle() -> None:
    for error in (LimitExceeded("steps", 3, ["g"], "x"), RateLimited("slow", provider_code="429")):
        for again in (pickle.loads(pickle.dumps(error)), decode_error(encode_error(error))):
            assert (again.code, again.hint) == (error.code, error.hint)  # type: ignore[attr-defined]


def test_a_record_of_the_time_before_codes_keeps_what_the_provider_said() -> None:
    record = encode_error(RateLimited("slow", provider_code="rate_limit_exceeded"))
    assert isinstance(record, dict)
    fields = record["fields"]
    assert isinstance(fields, dict)
    fields["code"] = fields.pop("provider_code")
    again = decode_error(record)
    assert isinstance(again, RateLimited)
    assert (again.code, again.provider_code) == ("rate-limited", "rate_limit_exceeded")


def test_what_may_succeed_later_says_so() -> None:
    assert RateLimited("x").retryable is True
    assert StoreUnreachable("x").retryable is True
    assert LimitExceeded("steps", 3, ["g"], "x").retryable is None


# -- reports ---------------------------------------------------------------------------------------
def test_a_report_of_an_error_is_json_with_its_causes() -> None:
    try:
        try:
            raise OSError("no route")
        except OSError as cause:
            raise StoreUnreachable("the database is gone") from cause
    except StoreUnreachable as error:
        report = ErrorReport.of(error)
    data = json.loads(json.dumps(report.to_json()))
    assert (data["code"], data["retryable"]) == ("store-unreachable", True)
    assert data["causes"] == [{"kind": "OSError", "text": "no route"}]
    assert data["url"].startswith("https://")


def test_a_report_is_bounded_and_knows_rings() -> None:
    first, second = ValueError("a" * 100_000), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    report = ErrorReport.of(first)
    assert len(report.text) == LONGEST_TEXT
    assert [cause.text for cause in report.causes] == ["b"]
    error: BaseException = ValueError("last")
    for number in range(50):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer
    assert len(ErrorReport.of(error).causes) == MOST_CAUSES


def test_a_report_of_a_run_tells_where_with_what_and_how_to_go_on() -> None:
    @node
    def check(text: str) -> str:
        raise KeyError(text)

    inner = Graph("inner", START >> check >> END)
    run = walk(Graph("outer", START >> inner >> END), "the-message")
    failure = run.failure
    assert failure is not None
    assert (failure.path, failure.node) == (("outer", "inner"), "check")
    assert "the-message" in failure.message
    assert failure.events[-1].split("  ")[-1].startswith("run.end failed")
    assert "store=" in failure.resume
    shown = str(failure)
    assert "outer > inner > check" in shown
    json.dumps(failure.to_json())


def test_a_limit_is_of_no_node_and_a_completed_run_has_no_failure() -> None:
    @node
    def same(text: str) -> str:
        return text

    graph = Graph("g", START >> same >> same.named("b") >> END, limits=Limits(steps=1))
    run = walk(graph, "x")
    assert run.failure is not None
    assert (run.failure.error.code, run.failure.node) == ("limit-exceeded", "")
    assert "hint: Raise the limit" in str(run.failure)
    assert walk(Graph("g", START >> same >> END), "x").failure is None


def test_a_report_of_a_kept_run_says_how_to_resume(tmp_path: Path) -> None:
    @node(effects=[])
    def breaks(text: str) -> str:
        raise ValueError(text)

    graph = Graph("g", START >> breaks >> END)
    with pytest.raises(ValueError, match="x") as raised:
        graph.run_sync("x", store=Store.open(f"jsonl:{tmp_path}"), id="r1")
    assert "graphflow resume r1" in raised.value.run.failure.resume  # type: ignore[attr-defined]


def test_no_secret_is_in_a_report() -> None:
    secret = "quartz7-marigold"

    @node
    def leaks(text: str) -> str:
        error = ValueError(f"cannot log in with {secret}")
        error.token = secret  # type: ignore[attr-defined]
        raise error from OSError(secret)

    graph = Graph("g", START >> leaks >> END)
    run = walk(graph, f"use {secret}", secrets=Secrets({"door": secret}))
    assert run.failure is not None
    assert "quartz7" not in str(run.failure)
    assert "quartz7" not in json.dumps(run.failure.to_json())
    agent = Agent("a", input=str)
    refused = walk(
        Graph("h", START >> agent >> END), "x", model=ScriptedModel(fails(AuthError("no")))
    )
    assert refused.failure is not None
    assert (refused.failure.error.code, refused.failure.node) == ("auth-error", "a")
