"""Where the code that a graph file names may stand: in the project that the file belongs to, by its place, and nowhere else.

A file is code: it names functions and programs. But it names them among the modules of its own project, so that who has
read a project has read all that its files can run. `os:system` is no module of a project; neither is anything installed.

    my/project/graphs/desk.yaml  names  nodes.tools.search:search  >  my/project/nodes/tools/search.py

Rules:
1. The project is the nearest folder upwards with `graphs/` in it, else the file's own folder. What it lacks of `nodes` and
   `graphs` is looked for among those that come with graphflow.
2. No folder is put into `sys.path`: a `jinja2.py` beside a file must not be what others import as jinja2. A finder of our
   own answers for the modules that a file names, and for what these import in turn, and to nobody else.
3. What is installed, or is part of Python, keeps its name: a module of a project that is called like that is refused.
"""

from __future__ import annotations

import importlib
import os
import stat
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PROJECT_FOLDERS = ("nodes", "graphs")
"""The folders of a project; every project has them, so several places may share these names."""


class NotOfTheProject(Exception):
    """A module that a file may not name; the text says why, and what to do."""


def shipped_root() -> Path:
    """Where the graphs that come with graphflow are: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_shipped"
    return inside if (inside / "graphs").is_dir() else package.parent


def project_above(start: Path) -> Path | None:
    """The nearest folder with `graphs/` in it, from `start` upwards.

    A folder above that everybody may write to (`/tmp`) is nobody's project: whoever else uses the machine could put a
    `graphs/` there.
    """
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / "graphs").is_dir() and (folder == here or not _open_to_all(folder)):
            return folder
    return None


def _open_to_all(folder: Path) -> bool:
    return os.name == "posix" and bool(folder.stat().st_mode & stat.S_IWOTH)


def widen(root: Path) -> None:
    """Lets `nodes` and `graphs`, where a finder of ours made them, stand in this project, too."""
    for name in PROJECT_FOLDERS:
        held = getattr(sys.modules.get(name), "__path__", None)
        if isinstance(held, list) and str(root / name) not in held:
            held.insert(0, str(root / name))


class Places:
    """The folders in which a file's modules may stand.

    Attributes:
        folders: those of the project, the nearest first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(dict.fromkeys(folders))

    @classmethod
    def of(cls, file: Path | None, root: Path | None = None) -> Places:
        """Those of a file; without one, those of the project that the process runs in. `root` is what a program says."""
        if root is not None:
            return cls([root.resolve()])
        if file is None:
            here = Path.cwd().resolve()
            return cls([project_above(here) or here])
        beside = file.resolve().parent
        return cls([beside, project_above(beside) or beside])

    def find(self, module: str) -> Path | None:
        """The file of a module, or None if no place has it."""
        parts = module.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        for folder in self._bases(parts[0]):
            base = folder.joinpath(*parts)
            for file in (base.with_name(f"{parts[-1]}.py"), base / "__init__.py"):
                if file.is_file() and self._holds(file):
                    return file
        return None

    def _holds(self, file: Path) -> bool:
        """Whether a file is in one of the folders, and not only beside it."""
        return any(file.is_relative_to(folder) for folder in (*self.folders, shipped_root()))

    def _bases(self, top: str) -> tuple[Path, ...]:
        """Where a module with that first name may begin: also in `src/`, and above a project that is a package itself."""
        inside = [base for folder in self.folders for base in (folder, folder / "src")]
        around = [folder.parent for folder in self.folders if folder.name == top]
        return (*inside, *around, *([shipped_root()] if top in PROJECT_FOLDERS else []))

    def load(self, module: str) -> ModuleType:
        """The module of that name, imported from its place.

        Raises:
            NotOfTheProject: no place has it, or the name is somebody else's.
        """
        file = self.find(module)
        if file is None:
            raise NotOfTheProject(
                f"{module!r} is no module of the project; a file names only code of its own project, "
                f"and there is no {module.replace('.', '/')}.py in {' or '.join(map(str, self.folders))}"
            )
        _check_free(module, file)
        known = sys.modules.get(module)
        if known is None:
            with _FINDER.serving(module, self):
                known = importlib.import_module(module)
        loaded = getattr(known, "__file__", None)
        if loaded is None or not _same(Path(loaded), file):
            raise NotOfTheProject(
                f"the module {module!r} of {file} cannot be used: another one of that name is loaded from {loaded}"
            )
        return known

    def spec(self, module: str) -> ModuleSpec | None:
        """How the import system finds a module in these places."""
        file = self.find(module)
        if file is not None:
            inside = [str(file.parent)] if file.name == "__init__.py" else None
            return spec_from_file_location(module, file, submodule_search_locations=inside)
        parts = module.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        held = [str(base.joinpath(*parts)) for base in self._bases(parts[0]) if base.joinpath(*parts).is_dir()]
        if not held:
            return None
        package = ModuleSpec(module, None, is_package=True)
        package.submodule_search_locations = held
        return package


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _check_free(module: str, file: Path) -> None:
    """Refuses a name that is Python's or an installed package's: whoever imports that must not get this file.

    Raises:
        NotOfTheProject: it is taken.
    """
    top = module.partition(".")[0]
    if top in PROJECT_FOLDERS:
        return
    taken = top in sys.stdlib_module_names or top == "graphflow"
    if not taken:
        origin = _FINDER.elsewhere(top)
        taken = origin is not None and not _below(file, origin)
    if taken:
        raise NotOfTheProject(f"{file} is called like the module {top!r}, which is not the project's; rename the file")


def _below(file: Path, origin: ModuleSpec) -> bool:
    """Whether what the import system would find under a module's first name is the very file, or the package around it."""
    found = [Path(origin.origin).resolve()] if origin.origin and origin.has_location else []
    packages = [Path(folder).resolve() for folder in origin.submodule_search_locations or ()]
    file = file.resolve()
    return file in found or any(file.is_relative_to(package) for package in packages)


class _Finder(MetaPathFinder):
    """Finds modules of projects, for the files that name them and for each other."""

    def __init__(self) -> None:
        self.asked: dict[str, Places] = {}
        """What a file names at the moment, with the packages around it."""
        self.served: dict[str, Places] = {}
        """The files that were loaded so far: what they import may be of their project, too."""

    def serving(self, module: str, places: Places) -> _Serving:
        """For the time of a `with`: this module is to be found in these places."""
        return _Serving(self, module, places)

    def elsewhere(self, module: str) -> ModuleSpec | None:
        """How everybody else would find a module."""
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(module, None)) is not None:
                return spec
        return None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How a module is found: by its place, if a file or a module of the same project asks for it."""
        places = self.asked.get(fullname) or self.served.get(_asking())
        if places is None:
            return None
        top = fullname.partition(".")[0]
        if top not in PROJECT_FOLDERS and (top in sys.stdlib_module_names or (path is None and self.elsewhere(top))):
            return None
        spec = places.spec(fullname)
        if spec is not None and spec.origin is not None:
            self.served[spec.origin] = places
        return spec


class _Serving:
    def __init__(self, finder: _Finder, module: str, places: Places) -> None:
        parts = module.split(".")
        self.finder, self.places = finder, places
        self.names = [".".join(parts[: end + 1]) for end in range(len(parts))]

    def __enter__(self) -> None:
        if self.finder not in sys.meta_path:
            sys.meta_path.insert(0, self.finder)
        self.finder.asked.update(dict.fromkeys(self.names, self.places))

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            self.finder.asked.pop(name, None)


_FINDER = _Finder()
_MACHINERY = ("<frozen importlib", importlib.__file__)


def _asking() -> str:
    """The file whose code imports."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        frame = frame.f_back
    return frame.f_code.co_filename
