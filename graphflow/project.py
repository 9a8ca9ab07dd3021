"""A project: a folder with `graphs/` (and `nodes/`), the user's own or the one that is shipped.

Rules:
1. The nearest folder upwards that has `graphs/` is the project (never one above that everybody may write to); what it
   lacks is looked for in the shipped one.
2. A graph is named by its file; the file holds a `Graph` of that name, or exactly one.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from graphflow.errors import FileUnreadable, GraphflowError, InputInvalid, UnknownGraph
from graphflow.files import is_graph_file, load_graph
from graphflow.files.project_modules import project_above, shipped_root, widen
from graphflow.graph import Graph
from graphflow.messages.media import Media
from graphflow.messages.message import arms, type_name

ENDINGS = (".py", ".yaml", ".yml")
"""How files end that can hold a graph."""


@dataclass(frozen=True, slots=True)
class Found:
    """A graph that can be run by name."""

    name: str
    file: Path
    root: Path


def roots(start: Path | None = None) -> list[Path]:
    """The user's project, if there is one, then the shipped one."""
    own = project_above(start or Path.cwd())
    shipped = shipped_root()
    return [shipped] if own is None or own == shipped else [own, shipped]


def find_all(start: Path | None = None) -> list[Found]:
    """Every graph in reach, by name; the user's own hides a shipped one of the same name."""
    found: dict[str, Found] = {}
    for root in roots(start):
        for file in sorted((root / "graphs").iterdir()):
            if file.suffix in ENDINGS and not file.name.startswith("_"):
                found.setdefault(file.stem, Found(file.stem, file, root))
    return [found[name] for name in sorted(found)]


def load(name_or_file: str, start: Path | None = None) -> Graph[Any, Any]:
    """The graph of that name, in that file, or `FILE:VARIABLE`.

    Raises:
        UnknownGraph: there is none; the text lists near names.
        FileUnreadable: the file is missing or is no Python that can be run.
    """
    text, _, variable = name_or_file.partition(":") if not Path(name_or_file).is_file() else (name_or_file, "", "")
    file = Path(text)
    if "\0" not in text and file.suffix in ENDINGS and not file.exists():
        like = _files_like(file.with_suffix(""), file.name)
        raise FileUnreadable(f"there is no file {file}" + (f"; did you mean {like[0]}?" if like else ""))
    if is_graph_file(text):
        return load_graph(text, Graph)
    if text.endswith(".py"):
        beside = file.resolve().parent
        return graph_in(file, project_above(beside) or beside, variable)
    found = {each.name: each for each in find_all(start)}
    if text not in found:
        file_there = next(iter(_files_like(Path(text))), None)
        if file_there is not None:
            whole = f"{file_there}:{variable}" if variable else str(file_there)
            raise UnknownGraph(f"no graph is named {text!r}, but there is a file {file_there}; name the file: {whole}")
        near = difflib.get_close_matches(text, found, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there is: {', '.join(found) or 'none'}"
        raise UnknownGraph(f"no graph is named {text!r}; {hint}")
    file = found[text].file
    return load_graph(file, Graph) if is_graph_file(file) else graph_in(file, found[text].root, variable)


def _files_like(stem: Path, name: str = "") -> list[Path]:
    """Files that could hold a graph and are called so but for their ending; else those beside it whose names are near."""
    exact = [file for ending in ENDINGS if (file := stem.parent / f"{stem.name}{ending}").is_file()]
    if exact or not name or not stem.parent.is_dir():
        return exact
    there = [file.name for file in sorted(stem.parent.iterdir()) if file.suffix in ENDINGS]
    return [stem.parent / near for near in difflib.get_close_matches(name, there, n=1)]


def graph_in(file: Path, root: Path, variable: str = "") -> Graph[Any, Any]:
    """The graph that a file declares."""
    module = _imported(file, root)
    graphs = {name: value for name, value in vars(module).items() if isinstance(value, Graph)}
    own = {name: g for name, g in graphs.items() if g.name == file.stem or name == file.stem}
    if (variable or file.stem) in graphs:
        return graphs[variable or file.stem]
    if variable:
        raise UnknownGraph(f"{file} has no graph {variable!r}; it has: {', '.join(graphs) or 'none'}")
    if len(own or graphs) == 1:
        return next(iter((own or graphs).values()))
    if not graphs:
        raise UnknownGraph(f"{file} declares no graph; write {file.stem} = Graph({file.stem!r}, START >> ... >> END)")
    raise UnknownGraph(f"{file} declares several graphs ({', '.join(graphs)}); say which: {file}:{next(iter(graphs))}")


def _imported(file: Path, root: Path) -> ModuleType:
    if str(root) not in sys.path:  # a .py file is run as `python FILE` would run it
        sys.path.insert(0, str(root))
    widen(root)
    inside = file.resolve().parent == (root / "graphs").resolve()
    name = f"graphs.{file.stem}" if inside else f"graphflow_user_{file.stem}"
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(file.resolve()):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise FileUnreadable(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except GraphflowError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = _line_in(error, file)
        raise FileUnreadable(f"{file}{line} cannot be run: {type(error).__name__}: {error}") from error
    return module


def _line_in(error: BaseException, file: Path) -> str:
    trace = error.__traceback__
    line = ""
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == file.resolve():
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line


# -- from a command line to a message --------------------------------------------------------------------------------------
def read_message(graph: Graph[Any, Any], text: str | None, settings: Mapping[str, str] | None = None) -> Any:
    """The message that a command line means: JSON, or text for a graph that takes text or has one field for it.

    Raises:
        InputInvalid: it cannot be read as what the graph takes.
    """
    if Media in arms(graph.input) and text is not None and not text.lstrip().startswith("{") and not settings:
        return Media.read(text)
    models = [arm for arm in arms(graph.input) if isinstance(arm, type) and issubclass(arm, BaseModel)]
    if len(models) == 1 and (str not in arms(graph.input)):
        return _fields(graph, models[0], text, dict(settings or {}))
    if settings:
        raise InputInvalid(f"graph {graph.name!r} takes {type_name(graph.input)}, which has no fields to set")
    if text is None:
        raise InputInvalid(f"graph {graph.name!r} takes {type_name(graph.input)}; give it after the graph's name")
    if str in arms(graph.input) or graph.input is Any:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputInvalid(
            f"graph {graph.name!r} takes {type_name(graph.input)} as JSON, and this is none: {error}"
        ) from None


def _value(name: str, value: Any, model: type[BaseModel]) -> Any:
    """The value of one field: text as it is, a list or an object as JSON unless the field takes text."""
    annotation = model.model_fields[name].annotation
    if not isinstance(value, str) or value[:1] not in ("[", "{") or str in arms(annotation):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InputInvalid(f"{name}={value} looks like JSON and is none: {error}") from None


def _fields(graph: Graph[Any, Any], model: type[BaseModel], text: str | None, given: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in given if name not in model.model_fields]
    if unknown:
        have = ", ".join(model.model_fields)
        raise InputInvalid(f"{model.__name__} has no field {unknown[0]!r}; graph {graph.name!r} takes: {have}")
    given = {name: _value(name, value, model) for name, value in given.items()}
    if text is not None and text.lstrip().startswith("{"):
        try:
            return {**json.loads(text), **given}
        except ValueError as error:
            raise InputInvalid(f"the input of graph {graph.name!r} looks like JSON and is none: {error}") from None
    if text is not None:
        name = _text_field(model, given)
        if name is None:
            raise InputInvalid(
                f"graph {graph.name!r} takes {model.__name__} with several fields; give them as JSON: {_example(model)}"
            )
        given[name] = text
    missing = [name for name, field in model.model_fields.items() if field.is_required() and name not in given]
    if missing:
        raise InputInvalid(
            f"graph {graph.name!r} takes {model.__name__} and lacks {', '.join(missing)}; give it as JSON: {_example(model)}"
        )
    return given


def _text_field(model: type[BaseModel], given: Mapping[str, Any]) -> str | None:
    """The field that plain text goes to: the only required text field, else the first text field."""
    texts = [name for name, field in model.model_fields.items() if field.annotation is str and name not in given]
    required = [name for name in texts if model.model_fields[name].is_required()]
    others = [
        name
        for name, field in model.model_fields.items()
        if field.is_required() and name not in texts and name not in given
    ]
    if others or len(required) > 1:
        return None
    return next(iter(required or texts), None)


def _example(model: type[BaseModel]) -> str:
    return "'" + json.dumps({name: type_name(field.annotation) for name, field in model.model_fields.items()}) + "'"
