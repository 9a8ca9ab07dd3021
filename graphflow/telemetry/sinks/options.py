"""Sinks by a table of settings, as a project's `[telemetry]` has it.

    jsonl       a path, or path, kinds, max_bytes, backups, max_text
    logging     true, a level for all, or logger, kinds, levels
    otlp        true, an endpoint, or endpoint, headers, service, content, max_content, ratio, metrics
    prometheus  true, a port, or port, host

What is false, or left out, is none. Any other name is a plug-in's: true, or a table of its options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any

from graphflow.errors import DeclarationError
from graphflow.plugins.seams import SINKS
from graphflow.telemetry.sinks.jsonl import JsonlSink
from graphflow.telemetry.sinks.logs import LoggingSink
from graphflow.telemetry.sinks.otel import OtelSink
from graphflow.telemetry.sinks.prometheus import PrometheusSink
from graphflow.telemetry.subscription import Sink

Table = dict[str, Any]
"""Settings of one sink, each checked by `_FIELDS`."""
_FIELDS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "jsonl": {
        "path": (str,),
        "kinds": (list, tuple),
        "max_bytes": (int,),
        "backups": (int,),
        "max_text": (int,),
    },
    "logging": {"logger": (str,), "kinds": (list, tuple), "levels": (Mapping,)},
    "otlp": {
        "endpoint": (str,),
        "headers": (Mapping,),
        "service": (str,),
        "content": (bool,),
        "max_content": (int,),
        "ratio": (int, float),
        "metrics": (bool,),
    },
    "prometheus": {"port": (int,), "host": (str,)},
}
_WORDS = {str: "a text", int: "a number", bool: "true or false", Mapping: "a table", list: "a list"}


def sinks_of(options: Mapping[str, object]) -> list[Sink]:
    """The sinks that a table asks for. Each is opened: whoever is not going to use it closes it.

    Raises:
        DeclarationError: a key is not known, or a value is of the wrong type or out of range; the text names it.
        PortUnavailable: somebody else has the port of one.
        MissingExtra: what a sink needs is not installed.
        FileUnreadable: a file cannot be opened.
        PluginError: a plug-in may not be used, cannot be loaded, or does not take these options.
    """
    makers: list[Callable[[], Sink]] = []
    for name, value in options.items():
        plugged = SINKS.find(name)
        if name not in _FIELDS and plugged is None:
            raise DeclarationError(_unknown(f"[telemetry] {name}", name, SINKS.names()))
        if value is None or value is False:
            continue
        if plugged is not None:
            given = plugged_options(name, value)
            makers.append(partial(plugged.make, Sink, options=given))  # type: ignore[type-abstract]
        else:
            makers.append(partial(_MAKERS[name], _table(name, value)))
    sinks: list[Sink] = []
    try:
        for make in makers:
            sinks.append(make())
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks


def plugged_options(name: str, value: object) -> Mapping[str, object]:
    """The options of a plug-in, which are a table, or none.

    Raises:
        DeclarationError: they are something else.
    """
    if value is True:
        return {}
    _check_type(f"[telemetry] {name}", value, (Mapping,))
    assert isinstance(value, Mapping)
    return value


def _table(name: str, value: object) -> Table:
    """The settings of a sink, those that are given as one word included.

    Raises:
        DeclarationError: one is not known, or of the wrong type.
    """
    where = f"[telemetry] {name}"
    if value is True:
        if name == "jsonl":
            raise DeclarationError(f"{where} = true: say which file, as in jsonl = 'events.jsonl'")
        return {}
    if not isinstance(value, Mapping):
        return _short(name, value)
    fields = _FIELDS[name]
    table: Table = {}
    for key, given in value.items():
        if key not in fields:
            raise DeclarationError(_unknown(f"{where}.{key}", str(key), fields))
        _check_type(f"{where}.{key}", given, fields[key])
        table[key] = tuple(given) if isinstance(given, list) else given
    if name == "jsonl" and "path" not in table:
        raise DeclarationError(f"{where} names no file; add path = 'events.jsonl'")
    return table


def _short(name: str, value: object) -> Table:
    where = f"[telemetry] {name}"
    match name:
        case "jsonl":
            _check_type(where, value, (str,))
            return {"path": value}
        case "logging":
            _check_type(where, value, (str,))
            return {"levels": {"*": value}}
        case "otlp":
            _check_type(where, value, (str,))
            return {"endpoint": value}
        case _:
            _check_type(where, value, (int,))
            return {"port": value}


def _check_type(where: str, value: object, kinds: tuple[type, ...]) -> None:
    is_flag = isinstance(value, bool)
    if isinstance(value, kinds) and (not is_flag or bool in kinds):
        return
    wanted = _WORDS.get(kinds[0], kinds[0].__name__)
    # What is wrong may be a key: only its type is shown.
    raise DeclarationError(f"{where} is {type(value).__name__}; give {wanted}")


def _unknown(where: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
    return f"{where} is not known; {hint}"


def _jsonl(table: Table) -> Sink:
    path = table.pop("path")
    return JsonlSink(path, **table)


def _logging(table: Table) -> Sink:
    name = table.pop("logger", None)
    return LoggingSink(**table) if name is None else LoggingSink(name, **table)


def _otlp(table: Table) -> Sink:
    endpoint = table.pop("endpoint", None)
    return OtelSink(endpoint, **table)


def _prometheus(table: Table) -> Sink:
    return PrometheusSink(**{"port": 9464, **table})


_MAKERS: Mapping[str, Callable[[Table], Sink]] = {
    "jsonl": _jsonl,
    "logging": _logging,
    "otlp": _otlp,
    "prometheus": _prometheus,
}
