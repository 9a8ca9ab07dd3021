"""Open questions on a terminal: what is asked is shown, and the answer is typed in by its JSON schema, field by field.

    graphflow: 'editor' (in desk) asks:
        text (str): "Bees can fly."
    1 Approved  2 Rejected
    which? 2
    why (text): too short

Rules:
1. What does not fit is asked for again, with what is wrong. An empty line takes what stands in brackets.
2. Where the input ends, nobody answers, and the question stays open. An approval takes a clear yes.
3. What was typed before the question was on the screen does not answer it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from graphflow.cli.answer_schema import NOTHING, AnswerSchema
from graphflow.cli.approvals import argument_lines, consent_of, head_of, shown
from graphflow.cli.printing import say
from graphflow.cli.terminal import ask_line, forget_typed
from graphflow.journal.entries import Given
from graphflow.journal.question import Question
from graphflow.messages.message import to_json_value
from graphflow.policy import Approval, edit

MAX_DEPTH = 4
"""Models within models that are asked for field by field; what lies deeper is typed as JSON."""
YES = ("y", "yes", "true")
NO = ("n", "no", "false")


async def answer_to(question: Question) -> Given | None:
    """The answer that somebody types; None: the input has ended, and nobody answers."""
    forget_typed()
    try:
        if question.about == "approval":
            approval = await _approval(question)
            return Given(approval)
        _show(question, "asks:", question.message)
        return await _answer(AnswerSchema(question.schema))
    except EOFError:
        return None


def _show(question: Question, does: str, message: object) -> None:
    head = head_of(question.node, question.path, does)
    say(head)
    for line in argument_lines(message):
        say(f"    {line}")


async def _answer(schema: AnswerSchema) -> Given:
    arms = schema.arms
    if len(arms) < 2:
        value = await value_of(schema, "answer")
        return Given(value)
    # Of a union it is asked first which arm is meant; the class of a model goes with the answer.
    chosen = await _arm(arms, "which?")
    value = await value_of(chosen, "answer")
    name = chosen.name if chosen.is_model else ""
    return Given(value, name)


async def _arm(arms: Sequence[AnswerSchema], label: str) -> AnswerSchema:
    names = [arm.name for arm in arms]
    chosen = await _choice(label, names)
    return arms[chosen]


# -- approvals -------------------------------------------------------------------------------------
async def _approval(question: Question) -> Approval:
    """A consent, as for calls that are asked about while the walk goes on."""
    arguments = question.message
    if isinstance(arguments, Mapping):
        arguments = arguments.get("arguments")
    _show(question, "needs approval:", arguments)
    return await consent_of(lambda: edited(arguments))


async def edited(arguments: object) -> Approval:
    """Other arguments, each with what it is now.

    Raises:
        EOFError: the input has ended.
    """
    plain = to_json_value(arguments)
    if not isinstance(plain, dict):
        schema = _schema_like(plain)
        whole = await value_of(schema, "arguments", plain)
        return edit(whole)
    changed: dict[str, object] = {}
    for name, value in plain.items():
        schema = _schema_like(value)
        changed[name] = await value_of(schema, name, value)
    return edit(changed)


def _schema_like(value: object) -> AnswerSchema:
    """The schema of what may stand in place of a value: a text for a text, else any JSON."""
    if isinstance(value, str):
        return AnswerSchema({"type": "string"})
    return AnswerSchema({})


# -- values ----------------------------------------------------------------------------------------
async def value_of(
    schema: AnswerSchema, label: str, default: object = NOTHING, depth: int = 0
) -> object:
    """A value that somebody types.

    Args:
        schema: what it has to be.
        label: what it is called.
        default: what an empty line stands for, if the schema does not tell.
        depth: models around it.

    Raises:
        EOFError: the input has ended.
    """
    if default is NOTHING:
        default = schema.default
    if schema.arms:
        return await _of_union(schema.arms, label, default, depth)
    if schema.choices:
        return await _one_of(schema.choices, label, default)
    is_deep = depth >= MAX_DEPTH
    if schema.is_model and not is_deep:
        return await _model(schema, label, depth)
    has_default = default is not NOTHING  # of a list, which is typed as a whole then
    if schema.kind == "array" and not (has_default or is_deep):
        return await _items(schema.item, label, depth)
    if schema.kind == "boolean":
        return await _yes_or_no(label, default)
    return await _line_of(schema, label, default)


async def _one_of(choices: Sequence[object], label: str, default: object) -> object:
    names = list(map(str, choices))
    usual = None
    if default in choices:
        usual = choices.index(default)
    chosen = await _choice(label, names, usual)
    return choices[chosen]


async def _of_union(arms: list[AnswerSchema], label: str, default: object, depth: int) -> object:
    some = [arm for arm in arms if arm.kind != "null"]
    # `int | None`: an empty line is none.
    is_optional = len(some) == 1 and len(arms) == 2
    if is_optional:
        [only] = some
        usual = None if default is NOTHING else default
        return await value_of(only, label, usual, depth)
    chosen = await _arm(arms, f"{label}: which?")
    return await value_of(chosen, label, NOTHING, depth)


async def _model(schema: AnswerSchema, label: str, depth: int) -> dict[str, object]:
    if depth:
        say(f"{label}:")
    value: dict[str, object] = {}
    for name, field, needed in schema.fields():
        default = NOTHING if needed else field.data.get("default")
        given = await value_of(field, name, default, depth + 1)
        if needed or given != default:  # what stays as it is need not be said
            value[name] = given
    return value


async def _items(schema: AnswerSchema, label: str, depth: int) -> list[object]:
    """A list, item by item, until there are no more."""
    items: list[object] = []
    # An empty line ends a list; where an item takes many of them, it is asked whether there is one.
    is_large = schema.kind in ("object", "array") or bool(schema.arms)
    while True:
        number = len(items) + 1
        name = f"{label} {number}"
        if is_large:
            goes_on = await _yes_or_no(f"{name}: another one?", False)
            if not goes_on:
                return items
            item = await value_of(schema, name, NOTHING, depth + 1)
        else:
            item = await _line_of(schema, f"{name}, empty: no more", NOTHING, ends=True)
            if item is NOTHING:
                return items
        items.append(item)


# -- lines -----------------------------------------------------------------------------------------
async def _choice(label: str, names: Sequence[str], usual: int | None = None) -> int:
    """The place of what somebody chooses, by its number or by its name."""
    places: dict[str, int] = {}
    parts: list[str] = []
    for place, name in enumerate(names):
        number = str(place + 1)
        places[name] = place
        places.setdefault(number, place)
        one_line = shown(name)
        parts.append(f"{number} {one_line}")
    listed = "  ".join(parts)
    say(listed)
    prompt = label
    if usual is not None:
        prompt = f"{label} [{usual + 1}]"
        places[""] = usual
    while True:
        line = await ask_line(prompt)
        chosen = places.get(line.strip())
        if chosen is not None:
            return chosen
        say(f"type a number from 1 to {len(names)}, or one of the names")


async def _line_of(
    schema: AnswerSchema, label: str, default: object, *, ends: bool = False
) -> object:
    """One value on one line; with `ends`, an empty line is not a value."""
    has_default = default is not NOTHING
    prompt = f"{label} ({schema.word})"
    if has_default:
        prompt += f" [{_written(default)}]"
    while True:
        text = await ask_line(f"{prompt}:")
        is_empty = not text.strip()
        if is_empty and (ends or has_default):
            return default
        try:
            return _read(schema.kind, text)
        except ValueError:
            say(f"that is no {schema.word}")


def _written(value: object) -> str:
    if not isinstance(value, str):
        value = json.dumps(to_json_value(value), ensure_ascii=False)
    return shown(value)


def _read(kind: str, text: str) -> object:
    """A line as a value of a JSON type.

    Raises:
        ValueError: it is none.
    """
    match kind:
        case "string":
            return text
        case "integer":
            return int(text)
        case "number":
            return float(text)
        case _:
            return json.loads(text)


async def _yes_or_no(label: str, default: object) -> bool:
    """Yes or no; without a default it is asked until one of them is typed."""
    hint = "y/n"
    if isinstance(default, bool):
        hint = "Y/n" if default else "y/N"
    while True:
        line = await ask_line(f"{label} [{hint}]")
        text = line.strip().casefold()
        if not text and isinstance(default, bool):
            return default
        if text in YES:
            return True
        if text in NO:
            return False
        say("type y or n")
