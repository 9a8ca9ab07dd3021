"""Variables of the environment: those that are named, and no secret."""

from __future__ import annotations

import json

import pytest

from graphflow.errors import DeclarationError
from nodes.tools.environment import MAX_CHARACTERS, environment
from tests.library.using import asked, named, refusal, use


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SHOP_CITY": "Lisbon",
        "SHOP_DB": "postgres://ada:tr0ub4dor-and-3@db/shop",
        "SHOP_LONG": "a" * (MAX_CHARACTERS + 1),
        "SHOP_OTHER": "not for models",
    }.items():
        monkeypatch.setenv(name, value)


TOOLS = environment(["SHOP_CITY", "SHOP_DB", "SHOP_LONG", "SHOP_UNSET"])


def test_a_model_reads_what_is_allowed() -> None:
    assert asked(TOOLS, "read_variable", variable="SHOP_CITY") == (True, "Lisbon")
    assert json.loads(asked(TOOLS, "list_variables")[1]) == ["SHOP_CITY", "SHOP_DB", "SHOP_LONG"]


@pytest.mark.parametrize("name", ["SHOP_OTHER", "SHOP_UNSET", "PATH", "shop_city"])
def test_others_look_as_if_they_were_not_there(name: str) -> None:
    ok, text = asked(TOOLS, "read_variable", variable=name)
    assert not ok
    assert f"there is no variable {name!r} to read; there are: SHOP_CITY" in text
    assert "not for models" not in text


def test_a_value_that_holds_a_secret_is_kept_back() -> None:
    told = refusal(named(TOOLS)["read_variable"], variable="SHOP_DB")
    assert told == "SHOP_DB holds a secret, which is not for models; go on without it"


def test_a_long_value_is_cut() -> None:
    text = use(named(TOOLS)["read_variable"], variable="SHOP_LONG")
    assert text.endswith(f"a [cut after {MAX_CHARACTERS} characters]")


@pytest.mark.parametrize("name", ["SHOP_API_KEY", "GITHUB_TOKEN", "DB_PASSWORD"])
def test_names_of_secrets_are_refused_where_the_tool_is_made(name: str) -> None:
    with pytest.raises(DeclarationError, match="named like a secret, and models see none"):
        environment([name])


@pytest.mark.parametrize("names", [[], "HOME", ["SHOP_*"], ["A=B"], [""], [7]])
def test_what_is_no_list_of_names_is_refused(names: list[str]) -> None:
    with pytest.raises(DeclarationError, match="environment"):
        environment(names)
