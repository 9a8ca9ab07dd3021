"""Prompts are sandboxed and strict; a message is data."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, GraphError
from graphflow.errors import PromptError
from graphflow.model.turns import UserTurn
from graphflow.testing import ScriptedModel
from tests.conftest import Msg, walk
from tests.effort import soon


def said(prompt: str, message: Any, **options: Any) -> Any:
    model = ScriptedModel("x")
    run = walk(
        Graph("g", START >> Agent("a", input=type(message), prompt=prompt) >> END),
        message,
        model=model,
        **options,
    )
    if run.error is not None:
        raise run.error
    turn = model.requests[0].turns[-1]
    assert isinstance(turn, UserTurn)
    return turn.text


def test_what_a_template_sees() -> None:
    text = said(
        "{{ n }} {{ message.tag }} {{ deps.x }} {{ ctx.depth }} {{ ctx.path[0] }}",
        Msg(n=3, tag="t"),
        deps={"x": 5},
    )
    assert text == "3 t 5 0 g"


def test_a_message_is_never_compiled() -> None:
    assert said("{{ text }}", "{{ 7 * 7 }} {% for %}") == "{{ 7 * 7 }} {% for %}"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ message.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{{ deps.append(1) }}",
        "{{ message.model_config.update({}) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__ }}",
    ],
)
def test_the_sandbox_holds(attack: str) -> None:
    from graphflow import GraphError

    with pytest.raises((PromptError, GraphError)):
        said(attack, Msg(), deps=[1])


def test_an_undefined_name_is_an_error_and_never_nothing() -> None:
    with pytest.raises(PromptError, match="can use: ctx, deps, message, n"):
        said("{{ nope }}", {"n": 1})


def test_loops_and_conditions_work() -> None:
    assert (
        said(
            "{% for i in range(n) %}{{ i }}{% endfor %}{% if tag %}!{% endif %}", Msg(n=3, tag="x")
        )
        == "012!"
    )


# -- bounds ----------------------------------------------------------------------------------------
DOUBLING = (
    "{% macro f(s, n) %}{% if n %}{{ f(s WITH s, n - 1) }}{% endif %}{% endmacro %}{{ f('x', 60) }}"
)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10 ** 12) %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) recursive %}{{ loop(range(99999)) }}{% endfor %}",
        "{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{{ f(50) }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'x' }}",
        "{{ ([0] * 10 ** 9)|length }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ (2 ** 9999) * (2 ** 9999) }}",
        "{{ 'x'.center(10 ** 9) }}",
        "{{ 'x'.zfill(10 ** 9) }}",
        "{{ '\\t'.expandtabs(10 ** 9) }}",
        "{{ ('x' * 9999).replace('x', 'y' * 9999) }}",
        "{{ ('x' * 9999).join(('a' * 9999)|list) }}",
        "{{ ('x' * 9999).translate({120: 'y' * 9999}) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=10 ** 9) }}",
        "{{ ('{0}' * 9999).format('x' * 9999) }}",
        "{{ '{a:999999999}'.format_map({'a': 1}) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10 ** 9, 1) }}",
        "{{ '%.999999999f'|format(1) }}",
        "{{ 1.to_bytes(10 ** 9, 'big') }}",
        "{{ (1).to_bytes(10 ** 9, 'big') }}",
        "{{ 'x'|center(10 ** 9) }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ 'a\\nb'|indent(10 ** 9) }}",
        "{{ ('x' * 9999)|replace('x', 'y' * 9999) }}",
        "{{ range(99999)|join('x' * 9999) }}",
        "{{ [1]|slice(10 ** 9)|list }}",
        "{{ [1]|batch(10 ** 9, 0)|list }}",
        "{{ 1.5|round(10 ** 9, 'ceil') }}",
        "{{ ('x' * 99999)|map('list')|sum(start=[])|length }}",
        "{{ [1]|tojson(10 ** 9) }}",
        "{{ ([1] * 99999)|tojson(indent=9999) }}",
        "{{ {'a': [1] * 9999}|tojson(indent='x' * 9999) }}",
        "{{ ('-' * 5000000)|wordwrap(7) }}",
        "{{ ('\u00e9' * 5000000).encode('idna') }}",
        "{{ ('x' * 5000000).encode(encoding='Punycode') }}",
        "{{ ('x' * 5000000).encode().decode('punycode') }}",
        "{{ [['x' * 9999999] * 99999] }}",
        "{{ [['x' * 9999999] * 99999]|string }}",
        "{{ 'x' ~ (['x' * 9999999] * 99999) }}",
        "{% for i in range(99999) %}" + "x" * 1_000 + "{% endfor %}",
        "{% for i in range(99999) %}{{ '" + "x" * 1_000 + "' }}{% endfor %}",
        "{% macro f() %}"
        + "x" * 1_000
        + "{% endmacro %}{% for i in range(99999) %}{{ f() }}{% endfor %}",
        "{% set big %}{% for i in range(99999) %}{{ 'x' * 999 }}{% endfor %}{% endset %}",
        "{% for i in range(99999) %}{% set x = range(99999)|map('string')|list %}{% endfor %}",
        DOUBLING.replace("WITH", "~"),
        DOUBLING.replace("WITH", "+"),
        DOUBLING.replace("WITH", "* 2 if true else"),
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% include 'x' %}",
        "{{ 1 / 0 }}",
        "{{ 1 + 'x' }}",
        "{{ [].pop() }}",
        "{{ 'x'.index('y') }}",
        "{{ {}|attr(1) }}",
        "{{ deps.broken }}",
        "{{ deps }}",
    ],
)
def test_no_template_takes_long_or_raises_anything_else(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphflow.kinds.templates.SECONDS", 0.3)
    tracemalloc.start()
    with soon(), pytest.raises((PromptError, GraphError)) as caught:
        said(template, Msg(), deps=Broken())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000_000
    assert "prompt" in str(caught.value)


class Broken:
    """What a template was given, and what raises when it is looked at."""

    @property
    def broken(self) -> str:
        raise OSError("the disk is gone")

    def __str__(self) -> str:
        raise ZeroDivisionError("no text")


@pytest.mark.parametrize(
    "template",
    ["(" * 5_000 + "1" + ")" * 5_000, "[" * 300 + "1" + "]" * 300, "1 + " * 20_000 + "1"],
)
def test_what_cannot_be_compiled_is_an_unsound_graph(template: str) -> None:
    with pytest.raises((GraphError, PromptError)):
        said("{{ " + template + " }}", Msg())


def test_a_filter_that_does_not_exist_is_found_when_the_graph_is_built() -> None:
    with pytest.raises(GraphError, match="No filter named 'uper'"):
        Graph("g", START >> Agent("a", input=Msg, prompt="{{ n|uper }}") >> END)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "{% for i in range(3) if i != 1 %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor %}",
            "1/2:0 2/2:2 ",
        ),
        ("{% for i in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% for t in tree recursive %}({{ t.n }}{{ loop(t.inner) }}){% endfor %}", "(1(2)(3))"),
        (
            "{{ 'a' ~ n ~ 'b' }}{{ 'a' + 'b' }}{{ 'ab' * 2 }}{{ 2 ** 10 }}{{ [1] + [2] }}{{ 7 % 4 }}",
            "a3bababab1024[1, 2]3",
        ),
        (
            "{{ '%s-%05.1f' % ('x', 2) }} {{ '%s'|format(n) }} {{ '{:>4}|{}'.format(1, 2) }}",
            "x-002.0 3    1|2",
        ),
        (
            "{{ [3, 1]|sort|join(', ') }}{{ 'a b'|replace('a', 'c')|upper }}{{ [1, 2]|sum }}",
            "1, 3C B3",
        ),
        (
            "{% macro f(x) %}<{{ x }}{{ caller() }}>{% endmacro %}{% call f(2) %}!{% endcall %}",
            "<2!>",
        ),
        (
            "{{ 'x'.center(5) }}|{{ 'x'|center(5) }}|{{ 'a\\nb'|indent(2) }}|{{ 'A-B'.split('-') }}",
            "  x  |  x  |a\n  b|['A', 'B']",
        ),
        (
            "{{ [1, [2]]|tojson }}{{ {'a': 1}|dictsort }}{{ range(5)|batch(2)|list|length }}",
            "[1, [2]][('a', 1)]3",
        ),
        ("{% set x %}a{{ n }}{% endset %}{{ x }}{% filter upper %}b{% endfilter %}", "a3B"),
        ("{{ big|length }} {{ none }} {{ 1.5 }} {{ true }}", "1000000 None 1.5 True"),
    ],
)
def test_what_templates_do_they_still_do(template: str, text: str) -> None:
    tree = [{"n": 1, "inner": [{"n": 2, "inner": []}, {"n": 3, "inner": []}]}]
    assert said(template, {"n": 3, "tree": tree, "big": "x" * 1_000_000}) == text


def test_a_long_prompt_of_many_documents_is_no_attack() -> None:
    template = "{% for d in documents %}## {{ d.title }}\n{{ d.text }}\n{% endfor %}"
    documents = [{"title": f"d{n}", "text": "word " * 100} for n in range(10_000)]
    assert len(said(template, {"documents": documents})) > 5_000_000
