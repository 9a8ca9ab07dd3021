"""What the names of a file stand for: modules of its project, and the nodes and functions in them.

    module:name          nodes.tools.search:search, messages:Question, messages:Shop.Order

Rules:
1. A module is one of the file's own project (`project_modules.py`), or of graphflow itself.
2. Of a module, its own names and those of its classes can be reached, and no others: `tools:os.system` names nothing.
3. A function that a file has called must be defined by the very module it names, under a public name.
"""

from __future__ import annotations

import difflib
import inspect
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

from graphflow.declaration.node import AnyNode, Node
from graphflow.errors import GraphflowError
from graphflow.files.problems import FileProblems
from graphflow.files.project_modules import NotOfTheProject, ProjectModules
from graphflow.messages.message import error_text

_MISSING = object()


class Names:
    """What the names of one file stand for.

    Args:
        problems: where what is wrong with a name is reported.
        modules: those that the file may name.
    """

    def __init__(self, problems: FileProblems, modules: ProjectModules) -> None:
        self.problems = problems
        self.modules = modules

    def node(self, text: str) -> AnyNode:
        """The node of that name."""
        value = self.value(text)
        if not isinstance(value, Node):
            raise self.problems.error(
                f"{text} is {describe(value)}, not a node; decorate it with @node or @tool"
            )
        return value

    def function(self, text: str, role: str) -> FunctionType:
        """The function of that name, which decides something: `role` says what ("the guard").

        A module holds much that it has only imported, and that was never meant to be called by a file. What it defines
        itself, under a public name, is what it offers.
        """
        value = self.value(text)
        module, _, name = text.partition(":")
        is_function = isinstance(value, FunctionType)
        if is_function and _is_ours(module):
            raise self.problems.error(
                f"{role} is {text}; name a function of the project, def {name}(message)"
            )
        if not isinstance(value, FunctionType) or name.startswith("_"):
            public = name.strip("_")
            raise self.problems.error(
                f"{role} is {text}, {describe(value)}; write a function, def {public}(message)"
            )
        # Else `graphs.desk:rmtree` would be one, wherever somebody has imported it.
        if value.__module__ != module:
            raise self.problems.error(
                f"{role} is {text}, which {module} imports from {value.__module__}; name a function that a module of the "
                "project defines itself"
            )
        return value

    def value(self, text: str) -> object:
        """Whatever a module holds under that name."""
        place, _, name = text.partition(":")
        module = self._module(place, text)
        owner: object = module
        for part in name.split("."):
            # Rule 2: of the module itself and of classes, never of what else it holds (another module, an object).
            can_be_reached = (owner is module or inspect.isclass(owner)) and part.isidentifier()
            value = _MISSING
            if can_be_reached and not part.startswith("__"):
                value = getattr(owner, part, _MISSING)
            if value is _MISSING:
                raise self._unknown(text, module, part)
            owner = value
        return owner

    def _unknown(self, text: str, module: ModuleType, name: str) -> GraphflowError:
        problem = f"{text}: {module.__name__!r} has no {name!r}"
        near = difflib.get_close_matches(name, vars(module), n=1)
        if near:
            problem += f"; did you mean {near[0]!r}?"
        return self.problems.error(problem)

    def _module(self, module: str, text: str) -> ModuleType:
        try:
            if _is_ours(module) and module != "graphflow.__main__":
                return import_module(module)
            return self.modules.load(module)
        except GraphflowError:
            raise
        except NotOfTheProject as error:
            raise self.problems.error(f"{text}: {error}") from None
        except (ImportError, ValueError) as error:
            raise self.problems.error(
                f"{text}: the module {module!r} cannot be imported: {error}"
            ) from None
        # Whatever the module's own code raises, `sys.exit()` too.
        except (Exception, SystemExit) as error:
            place = self._place_of(error)
            reason = f"{type(error).__name__}: {error_text(error)}"
            raise self.problems.error(
                f"{text}: the module {module!r}{place} cannot be run: {reason}"
            ) from error

    def _place_of(self, error: BaseException) -> str:
        """Where in the project an error was raised, the innermost place: " (steps.py:12)"."""
        place = ""
        trace = error.__traceback__
        while trace is not None:
            file = Path(trace.tb_frame.f_code.co_filename)
            if self._is_of_the_project(file):
                place = f" ({file}:{trace.tb_lineno})"
            trace = trace.tb_next
        return place

    def _is_of_the_project(self, file: Path) -> bool:
        if "site-packages" in file.parts:  # an environment that lies in the project's folder
            return False
        return any(file.is_relative_to(folder) for folder in self.modules.folders)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "graphflow"


def describe(value: object) -> str:
    """What kind of thing a value is, without the value: that may be anything, the environment too."""
    if isinstance(value, ModuleType):
        return "a module"
    if isinstance(value, Node):
        return f"a node, {value.kind}"
    if inspect.isclass(value):
        return "a class"
    if callable(value):
        return "a function"
    return f"of type {type(value).__name__}"
