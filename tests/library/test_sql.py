"""SQLite: what is read, what cannot be changed, and that every query ends."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from graphflow.errors import DeclarationError
from nodes.tools.sql import sql
from tests.leftovers import children
from tests.library.using import asked, named, refusal, use
from tests.waiting import until

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    file = tmp_path / "shop ?#%.db"
    with sqlite3.connect(file) as made:
        made.execute(
            "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL, picture BLOB)"
        )
        made.executemany(
            "INSERT INTO items (name, price, picture) VALUES (?, ?, ?)",
            [("tea", 2.5, b"x" * 9), ("jam", 4, None)],
        )
        made.execute('CREATE TABLE "odd ""name" (x)')
        made.execute("CREATE INDEX by_name ON items (name)")
        made.execute("CREATE VIEW cheap AS SELECT * FROM items WHERE price < 3")
    made.close()
    return file


def tools(file: Path, **options: Any) -> dict[str, Any]:
    return named(sql(file, **options))


def test_a_model_looks_at_the_tables_and_asks(base: Path) -> None:
    ok, text = asked(sql(base), "list_tables")
    assert ok
    assert [(t["name"], t["kind"], t["rows"]) for t in json.loads(text)] == [
        ("cheap", "view", None),
        ("items", "table", 2),
        ('odd "name', "table", 0),
    ]
    ok, text = asked(
        sql(base),
        "query_sql",
        statement="SELECT name, picture FROM items WHERE price < ?",
        values=[3],
    )
    assert json.loads(text) == {
        "columns": ["name", "picture"],
        "rows": [["tea", "[blob of 9 bytes]"]],
        "cut": False,
    }
    ok, text = asked(sql(base), "query_sql", statement="SELECT nme FROM items")
    assert not ok
    assert "no such column: nme; mend" in text


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO items (name) VALUES ('x')",
        "UPDATE items SET price = 0",
        "DELETE FROM items",
        "DROP TABLE items",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "ALTER TABLE items RENAME TO other",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "ATTACH '{folder}/other.db' AS other",
        "VACUUM",
        "VACUUM INTO '{folder}/copy.db'",
        "SELECT load_extension('x')",
        "BEGIN",
        "REINDEX",
        "ANALYZE",
        "CREATE VIRTUAL TABLE v USING fts5(x)",
        "SELECT 1; DELETE FROM items",
        "WITH x AS (SELECT 1) DELETE FROM items",
        "INSERT INTO items (name) VALUES ('x') RETURNING id",
    ],
)
def test_reading_changes_nothing_whatever_is_asked(base: Path, statement: str) -> None:
    before = base.read_bytes()
    assert refusal(tools(base)["query_sql"], statement=statement.format(folder=base.parent))
    assert base.read_bytes() == before
    assert [p.name for p in base.parent.iterdir()] == [base.name]


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{folder}/other.db' AS other",
        "VACUUM INTO '{folder}/copy.db'",
        "PRAGMA writable_schema = ON",
        "SELECT load_extension('x')",
    ],
)
def test_writing_reaches_no_other_file(base: Path, statement: str) -> None:
    assert refusal(
        tools(base, write=True)["change_sql"], statement=statement.format(folder=base.parent)
    )
    assert [p.name for p in base.parent.iterdir()] == [base.name]


def test_a_change_is_kept_and_a_failing_one_is_undone(base: Path) -> None:
    have = tools(base, write=True)
    assert (
        use(have["change_sql"], statement="UPDATE items SET price = :p", values={"p": 1})
        == "done, 2 rows changed"
    )
    assert (
        use(have["change_sql"], statement="CREATE TABLE t (x CHECK (x < 3))")
        == "done, 0 rows changed"
    )
    assert "CHECK" in refusal(have["change_sql"], statement="INSERT INTO t VALUES (1), (2), (3)")
    assert use(have["query_sql"], statement="SELECT count(*) FROM t").rows == ((0,),)
    assert use(have["query_sql"], statement="SELECT DISTINCT price FROM items").rows == ((1.0,),)
    assert not asked(sql(base), "query_sql", statement="x" * 20_001)[0]
    assert set(tools(base)) == {"list_tables", "query_sql"}


@pytest.mark.parametrize(
    "statement", [FOREVER, FOREVER.replace("count(*)", "i") + " ORDER BY i DESC"]
)
def test_a_query_that_runs_for_ever_is_stopped_and_holds_nothing(
    base: Path, statement: str
) -> None:
    have = tools(base, write=True, seconds=0.3)
    assert "longer than 0.3 s" in refusal(have["query_sql"], statement=statement)
    assert use(have["change_sql"], statement="DELETE FROM items") == "done, 2 rows changed"


def test_results_are_bounded(base: Path) -> None:
    ask = tools(base, rows=3)["query_sql"]
    many = use(ask, statement=FOREVER.replace("count(*)", "i"))
    assert (many.rows, many.cut) == (((1,), (2,), (3,)), True)
    assert (
        "[and 98000 more characters]"
        in use(ask, statement="SELECT printf('%.*c', 100000, 'x')").rows[0][0]
    )
    for large in (
        "zeroblob(1000000000)",
        "replace(hex(zeroblob(4000000)), '0', 'xxxx')",
    ):
        assert "too big" in refusal(ask, statement=f"SELECT {large}")


def test_a_function_that_takes_for_ever_within_one_step_is_stopped(base: Path) -> None:
    """SQLite asks whether to go on between steps only, so this one is killed."""
    before = children()
    slow = "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(2000000)) || '1')"
    assert "longer than 0.3 s" in refusal(tools(base, seconds=0.3)["query_sql"], statement=slow)
    until(lambda: children() <= before)


def test_values_are_values_not_sql(base: Path) -> None:
    ask = tools(base)["query_sql"]
    assert use(ask, statement="SELECT ?", values=["'; DROP TABLE items; --"]).rows == (
        ("'; DROP TABLE items; --",),
    )
    assert use(ask, statement="SELECT :a, :b", values={"a": None, "b": 2**62}).rows == (
        (None, 2**62),
    )
    assert "bindings" in refusal(ask, statement="SELECT ?, ?", values=[1])
    assert "too large" in refusal(ask, statement="SELECT ?", values=[2**70])


def test_odd_content_is_shown_and_does_no_harm(base: Path) -> None:
    ask = tools(base)["query_sql"]
    assert use(ask, statement="SELECT CAST(x'ff41' AS TEXT), 9e999, ''").rows == (
        ("�A", "inf", ""),
    )
    assert refusal(ask, statement="SELECT '\0'")
    assert use(ask, statement="-- nothing").columns == ()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    assert "not a database" in refusal(
        tools(tmp_path / "x.db")["query_sql"], statement="SELECT * FROM t"
    )
    with pytest.raises(DeclarationError, match="no such file"):
        sql(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_goes_away_is_not_made_anew(base: Path) -> None:
    have = tools(base, write=True)
    base.unlink()
    assert "unable to open" in refusal(have["change_sql"], statement="CREATE TABLE t (x)")
    assert not base.exists()
