"""A project: a folder with `graphs/` (and `nodes/`), the user's own or the one that comes with graphflow.

Rules:
1. The nearest folder upwards that has `graphs/` is the project (never one above that everybody may write to); what it
   lacks is looked for in the one that comes with graphflow.
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
from graphflow.graph import Graph, RunnableGraph
from graphflow.messages.media import Media
from graphflow.messages.types import Type, arms, type_name

ENDINGS = (".py", ".yaml", ".yml")
"""How files end that can hold a graph."""


@dataclass(frozen=True, slots=True)
class Found:
    """A graph that can be run by name."""

    name: str
    file: Path
    root: Path


def roots(start: Path | None = None) -> list[Path]:
    """The user's project, if there is one, then the one that comes with graphflow."""
    own = project_above(start or Path.cwd())
    shipped = shipped_root()
    if own is None or own == shipped:
        return [shipped]
    return [own, shipped]


def find_all(start: Path | None = None) -> list[Found]:
    """Every graph in reach, by name; the user's own hides a shipped one of the same name."""
    found: dict[str, Found] = {}
    # The user's own root comes first, and the first of a name stays.
    for root in roots(start):
        folder = root / "graphs"
        for file in sorted(folder.iterdir()):
            name = file.stem
            is_private = file.name.startswith("_")
            if is_private or file.suffix not in ENDINGS or name in found:
                continue
            found[name] = Found(name, file, root)
    return [found[name] for name in sorted(found)]


def load(name_or_file: str, start: Path | None = None) -> RunnableGraph:
    """The graph of that name, in that file, or `FILE:VARIABLE`.

    Raises:
        UnknownGraph: there is none; the text lists near names.
        FileUnreadable: the file is missing, or is not Python that can be run.
    """
    text, variable = _split(name_or_file)
    file = Path(text)
    has_ending = "\0" not in text and file.suffix in ENDINGS
    if has_ending and not file.exists():
        raise _missing(file)
    if is_graph_file(text):
        return load_graph(text, Graph)
    if text.endswith(".py"):
        beside = file.resolve().parent
        return graph_in(file, project_above(beside) or beside, variable)
    graphs = {each.name: each for each in find_all(start)}
    if text not in graphs:
        raise _unknown(text, variable, graphs)
    found = graphs[text]
    if is_graph_file(found.file):
        return load_graph(found.file, Graph)
    return graph_in(found.file, found.root, variable)


def _split(name_or_file: str) -> tuple[str, str]:
    """A name or file, and the variable behind its colon; a file may have a colon in its name."""
    if Path(name_or_file).is_file():
        return name_or_file, ""
    text, _, variable = name_or_file.partition(":")
    return text, variable


def _missing(file: Path) -> FileUnreadable:
    problem = f"there is no file {file}"
    like = _files_like(file.with_suffix(""), file.name)
    if like:
        problem += f"; did you mean {like[0]}?"
    return FileUnreadable(problem)


def _unknown(text: str, variable: str, graphs: Mapping[str, Found]) -> UnknownGraph:
    """Why there is no graph of that name, and what was probably meant."""
    problem = f"no graph is named {text!r}"
    like = _files_like(Path(text))
    if like:
        file = str(like[0])
        whole = f"{file}:{variable}" if variable else file
        return UnknownGraph(f"{problem}, but there is a file {file}; name the file: {whole}")
    near = difflib.get_close_matches(text, graphs, n=3)
    if near:
        guesses = " or ".join(near)
        return UnknownGraph(f"{problem}; did you mean {guesses}?")
    names = ", ".join(graphs) or "none"
    advice = f"give a .py or .yaml file, or one of these names: {names}"
    if Path(text).is_file():
        return UnknownGraph(f"{text} cannot hold a graph; {advice}")
    if Path(text).is_dir():
        return UnknownGraph(f"{text} is a folder; {advice}")
    return UnknownGraph(f"{problem}; there is: {names}")


def _files_like(stem: Path, name: str = "") -> list[Path]:
    """Files that could hold a graph and are called like that but for their ending; else those beside it with near names."""
    folder = stem.parent
    exact: list[Path] = []
    for ending in ENDINGS:
        file = folder / f"{stem.name}{ending}"
        if file.is_file():
            exact.append(file)
    if exact or not name or not folder.is_dir():
        return exact
    beside = sorted(folder.iterdir())
    candidates = [file.name for file in beside if file.suffix in ENDINGS]
    near = difflib.get_close_matches(name, candidates, n=1)
    return [folder / each for each in near]


def graph_in(file: Path, root: Path, variable: str = "") -> RunnableGraph:
    """The graph that a file declares: that of a variable, else the one that is called like the file, else the only one."""
    module = _imported(file, root)
    graphs: dict[str, RunnableGraph] = {}
    for name, value in vars(module).items():
        if isinstance(value, Graph):
            graphs[name] = value
    if not variable:
        return _main_graph(file, graphs)
    if variable not in graphs:
        have = ", ".join(graphs) or "none"
        raise UnknownGraph(f"{file} has no graph {variable!r}; it has: {have}")
    return graphs[variable]


def _main_graph(file: Path, graphs: Mapping[str, RunnableGraph]) -> RunnableGraph:
    name = file.stem
    if name in graphs:
        return graphs[name]
    if not graphs:
        example = f"{name} = Graph({name!r}, START >> ... >> END)"
        raise UnknownGraph(f"{file} declares no graph; write {example}")
    every = list(graphs.values())
    same_name = [graph for graph in every if graph.name == name]
    choice = same_name or every
    if len(choice) > 1:
        variables = list(graphs)
        listed = ", ".join(variables)
        example = f"{file}:{variables[0]}"
        raise UnknownGraph(f"{file} declares several graphs ({listed}); say which: {example}")
    return choice[0]


def _imported(file: Path, root: Path) -> ModuleType:
    if str(root) not in sys.path:  # a .py file is run as `python FILE` would run it
        sys.path.insert(0, str(root))
    widen(root)
    path = file.resolve()
    folder = root / "graphs"
    # Under the name that other modules import it by, if there is one: else its graphs would exist twice.
    name = f"graphflow_user_{file.stem}"
    if path.parent == folder.resolve():
        name = f"graphs.{file.stem}"
    known = sys.modules.get(name)
    known_file = getattr(known, "__file__", None)
    if known is not None and known_file == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileUnreadable(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs, as pydantic looks up annotations there
    try:
        spec.loader.exec_module(module)
    except GraphflowError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        place = f"{file}{_line_in(error, path)}"
        reason = f"{type(error).__name__}: {error}"
        raise FileUnreadable(f"{place} cannot be run: {reason}") from error
    return module


def _line_in(error: BaseException, file: Path) -> str:
    """The line of a file where an error was raised, the innermost one: ":12"."""
    line = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if Path(code.co_filename) == file:
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line


# -- from a command line to a message --------------------------------------------------------------------------------------
def read_message(graph: RunnableGraph, text: str | None, settings: Mapping[str, str] | None = None) -> object:
    """The message that a command line means: JSON, or text for a graph that takes text or has one field for it.

    Raises:
        InputInvalid: it cannot be read as what the graph takes.
    """
    kinds = arms(graph.input)
    takes_file = Media in kinds and not settings
    if takes_file and text is not None and not _looks_like_object(text):
        return Media.read(text)
    models = [kind for kind in kinds if _is_model(kind)]
    if len(models) == 1 and str not in kinds:
        return _fields(graph, models[0], text, settings or {})
    takes = _takes(graph, type_name(graph.input))
    if settings:
        raise InputInvalid(f"{takes}, which has no fields to set")
    return _plain(graph, text)


def _takes(graph: RunnableGraph, kind: str) -> str:
    """How every error about a message begins."""
    return f"graph {graph.name!r} takes {kind}"


def _is_model(kind: Type) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _plain(graph: RunnableGraph, text: str | None) -> object:
    """Text for a graph that takes text, JSON for any other."""
    takes = _takes(graph, type_name(graph.input))
    if text is None:
        raise InputInvalid(f"{takes}; give it after the graph's name")
    if graph.input is Any or str in arms(graph.input):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputInvalid(f"{takes} as JSON, and this is not JSON: {error}") from None


def _looks_like_object(text: str) -> bool:
    return text.lstrip().startswith("{")


def _fields(
    graph: RunnableGraph, model: type[BaseModel], text: str | None, settings: Mapping[str, str]
) -> dict[str, object]:
    """The fields of a model: what the text is read as, and those that were set."""
    fields = _settings(graph, model, settings)
    if text is not None and _looks_like_object(text):
        written = _object(graph, text)
        return written | fields
    takes = _takes(graph, model.__name__)
    if text is not None:
        name = _text_field(model, fields)
        if name is None:
            raise InputInvalid(f"{takes} with several fields; give them as JSON: {_example(model)}")
        fields[name] = text
    missing = [name for name in _required(model) if name not in fields]
    if missing:
        listed = ", ".join(missing)
        raise InputInvalid(f"{takes} and lacks {listed}; give it as JSON: {_example(model)}")
    return fields


def _settings(graph: RunnableGraph, model: type[BaseModel], settings: Mapping[str, str]) -> dict[str, object]:
    fields = model.model_fields
    for name in settings:
        if name not in fields:
            have = ", ".join(fields)
            problem = f"{model.__name__} has no field {name!r}"
            raise InputInvalid(f"{problem}; graph {graph.name!r} takes: {have}")
    values: dict[str, object] = {}
    for name, value in settings.items():
        values[name] = _value(name, value, model)
    return values


def _object(graph: RunnableGraph, text: str) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise InputInvalid(f"the input of graph {graph.name!r} looks like JSON, and is not: {error}") from None
    return fields


def _value(name: str, value: str, model: type[BaseModel]) -> object:
    """The value of one field: text as it is, a list or an object as JSON unless the field takes text."""
    field = model.model_fields[name]
    takes_text = str in arms(field.annotation)
    if takes_text or not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InputInvalid(f"{name}={value} looks like JSON, and is not: {error}") from None


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _text_field(model: type[BaseModel], given: Mapping[str, object]) -> str | None:
    """The field that plain text goes to: the only required text field, else the first text field."""
    texts: list[str] = []
    required: list[str] = []
    for name, field in model.model_fields.items():
        if name in given:
            continue
        if field.annotation is str:
            texts.append(name)
        if field.is_required():
            required.append(name)
    if not required:  # all have defaults: the first text is what somebody would say
        return texts[0] if texts else None
    # With two fields missing, the text alone would not make the message, and might be meant for either.
    if len(required) > 1 or required[0] not in texts:
        return None
    return required[0]


def _example(model: type[BaseModel]) -> str:
    fields = model.model_fields.items()
    types = {name: type_name(field.annotation) for name, field in fields}
    return f"'{json.dumps(types)}'"
