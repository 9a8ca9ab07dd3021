"""Loads the modules of a project anew, while what was made of the old ones goes on.

    with new_version(root):          none of the project's modules counts as loaded
        graph = load(...)            so each is made of its file as it stands

Rules:
1. What was made of the old modules keeps them: functions hold their own globals, whatever `sys.modules` says.
2. If the block fails, all is as it was. If it does not, modules that were not loaded again are put back: a function of the old
   version may import one when it is called.
3. One at a time in a process, since a process has one table of modules.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from graphflow.files.project_modules import PROJECT_FOLDERS, only_fresh

_OTHERS = frozenset({"graphflow", "tests", "conftest", "__main__"})
"""First names of modules that stay, wherever they lie: a checkout of graphflow is a project, too."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_one_at_a_time = threading.Lock()


@contextmanager
def new_version(root: Path) -> Iterator[None]:
    """For the time of a `with`: the modules of the project in a folder are loaded anew."""
    with _one_at_a_time, only_fresh():
        old = _modules_of(root)
        _forget(old)
        try:
            yield
        except BaseException:
            # Half of a new version is not a version.
            _forget(_modules_of(root))
            _put_back(old)
            raise
        missing = {name: module for name, module in old.items() if name not in sys.modules}
        _put_back(missing)


def _forget(modules: Mapping[str, ModuleType]) -> None:
    """Takes modules out: of the table, and of the packages around them, which `from package import module` asks first."""
    for name, module in modules.items():
        del sys.modules[name]
        around, _, last = name.rpartition(".")
        package = sys.modules.get(around)
        if package is not None and vars(package).get(last) is module:
            delattr(package, last)


def _put_back(modules: Mapping[str, ModuleType]) -> None:
    """Puts modules back to where they were."""
    sys.modules.update(modules)
    for name, module in modules.items():
        around, _, last = name.rpartition(".")
        package = sys.modules.get(around)
        if package is not None:
            setattr(package, last, module)


def _modules_of(root: Path) -> dict[str, ModuleType]:
    """The modules that lie below a folder, by name."""
    found: dict[str, ModuleType] = {}
    for name, module in list(sys.modules.items()):
        top, _, _ = name.partition(".")
        # Of nodes and graphs also those of other projects: they must not be found in the places of these.
        if top in PROJECT_FOLDERS or (top not in _OTHERS and _lies_below(module, root)):
            found[name] = module
    return found


def _lies_below(module: ModuleType, root: Path) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return False
    return _is_own(Path(file), root)


def _is_own(place: Path, root: Path) -> bool:
    if not place.is_relative_to(root):
        return False
    inner = place.relative_to(root).parts
    # An environment lies in the project, and is not of it: .venv
    hidden = [part for part in inner if part.startswith(".")]
    if hidden:
        return False
    return _INSTALLED.isdisjoint(inner)
