"""How often memories find what is asked for in other words: the figures of `tests/bench/recall_figures.py`, with room for noise."""

from __future__ import annotations

import asyncio

import pytest

from graphflow.errors import WeightsError
from graphflow.model.resolve import open_embedder
from tests.bench.recall_figures import by_full_text, by_words, figures, haystack, recall_of


def test_the_haystack_is_the_same_each_time_and_each_fact_stands_in_it_once() -> None:
    found = haystack()
    assert (len(found.places), len(found.lines)) == (42, 1_542)
    assert found == haystack()
    assert all(found.lines.count(found.lines[place]) == 1 for place in found.places)
    assert set(found.places) <= set(found.statements)


def test_words_alone_find_as_much_as_sqlite_finds_by_them() -> None:
    found = haystack()
    assert recall_of(found, by_words(found)) >= recall_of(found, by_full_text(found))


@pytest.mark.local_model
@pytest.mark.slow
def test_meaning_finds_what_words_do_not() -> None:
    try:
        open_embedder("local:minilm")
        without = []
    except WeightsError:
        without = ["minilm"]  # of an unknown carrier: nobody fetches them unasked
    table = asyncio.run(figures(without))
    print(table)
    words, among_statements = table["bm25"], table["use among statements"]
    assert among_statements >= (0.5, 0.6)
    assert among_statements[1] > words[1] + 0.2
    if not without:
        assert table["minilm"] >= (0.42, 0.6)
        assert table["minilm + bm25 / 10"][0] > words[0] + 0.1
        assert table["minilm"][1] > table["use"][1] + 0.2
