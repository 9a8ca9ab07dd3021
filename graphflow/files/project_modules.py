"""Where the code that a graph file names may stand: in the project that the file belongs to, by its place, and nowhere else.

A file is code: it names functions and programs. But it names them among the modules of its own project, so that whoever has
read a project has read all that its files can run. `os:system` is not a module of a project; neither is anything installed.

    my/project/graphs/desk.yaml  names  nodes.tools.search:search  >  my/project/nodes/tools/search.py

Rules:
1. The project is the nearest folder upwards with `graphflow.toml`, `[tool.graphflow]` in its pyproject.toml, or `graphs/`,
   else the file's own folder. Modules of `nodes` and `graphs` that it lacks are looked for among those that come with
   graphflow.
2. No folder is put into `sys.path`: a `jinja2.py` beside a file must not be what others import as jinja2. A finder of our
   own answers for the modules that a file names, and for what these import in turn, and to nobody else.
3. What is installed, or is part of Python, keeps its name: a module of a project that is called like that is refused.
"""

from __future__ import annotations

import difflib
import importlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

PROJECT_FILE = "graphflow.toml"
PYPROJECT = "pyproject.toml"
PYPROJECT_TABLE = ("tool", "graphflow")
PROJECT_FOLDERS = ("nodes", "graphs")
"""The folders of a project; every project has them, so several places may share these names."""


class NotOfTheProject(Exception):
    """A module that a file may not name; the text says why, and what to do."""


def shipped_root() -> Path:
    """Where the graphs that come with graphflow are: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_shipped"
    graphs = inside / "graphs"
    if graphs.is_dir():
        return inside
    return package.parent


def project_above(start: Path) -> Path | None:
    """The nearest folder with a project file or `graphs/` in it, from `start` upwards.

    A folder above that everybody may write to (`/tmp`) is nobody's project: whoever else uses the machine could put a
    `graphs/` there.
    """
    here = start.resolve()
    for folder in (here, *here.parents):
        if not _is_project(folder):
            continue
        if folder == here or not _is_open_to_all(folder):
            return folder
    return None


def _is_project(folder: Path) -> bool:
    if (folder / "graphs").is_dir() or (folder / PROJECT_FILE).is_file():
        return True
    try:
        text = (folder / PYPROJECT).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return f"[{'.'.join(PYPROJECT_TABLE)}" in text


def _is_open_to_all(folder: Path) -> bool:
    if os.name != "posix":
        return False
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH)


def widen(root: Path) -> None:
    """Lets `nodes` and `graphs`, where our finder made them, have modules of this project, too."""
    for name in PROJECT_FOLDERS:
        folder = str(root / name)
        package = sys.modules.get(name)
        folders = getattr(package, "__path__", None)
        # Where Python found a package without `__init__.py` itself, its path is not a list, and Python keeps it up to date.
        if isinstance(folders, list) and folder not in folders:
            folders.insert(0, folder)


class ProjectModules:
    """The modules that a file may name.

    Attributes:
        folders: the folders of its project, the nearest first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(dict.fromkeys(folders))

    @classmethod
    def of(cls, file: Path | None, root: Path | None = None) -> ProjectModules:
        """Those of a file; without a file, of the project that the process runs in. `root` names the project instead."""
        if root is not None:
            return cls([root.resolve()])
        if file is None:
            here = Path.cwd().resolve()
            project = project_above(here) or here
            return cls([project])
        beside = file.resolve().parent
        project = project_above(beside) or beside
        return cls([beside, project])

    def find(self, module: str) -> Path | None:
        """The file of a module, or None if the project has none of that name."""
        parts = _parts(module)
        if not parts:
            return None
        last = parts[-1]
        for folder in self._bases(parts[0]):
            place = folder.joinpath(*parts)
            candidates = (place.with_name(f"{last}.py"), place / "__init__.py")
            for file in candidates:
                if file.is_file() and self._holds(file):
                    return file
        return None

    def load(self, module: str) -> ModuleType:
        """The module of that name, imported from its place.

        Raises:
            NotOfTheProject: the project has none, or the name is somebody else's.
        """
        file = self.find(module)
        if file is None:
            path = module.replace(".", "/") + ".py"
            folders = " or ".join(map(str, self.folders))
            raise NotOfTheProject(
                f"{module!r} is not a module of the project; a file names only code of its own project, "
                f"and there is no {path} in {folders}{self._hint(module)}"
            )
        _check_free(module, file)
        loaded = sys.modules.get(module)
        if loaded is None:
            with _FINDER.serving(module, self):
                loaded = importlib.import_module(module)
        origin = getattr(loaded, "__file__", None)
        if origin is None or not _is_same(Path(origin), file):
            raise NotOfTheProject(
                f"the module {module!r} of {file} cannot be used: another one of that name is loaded from {origin}; rename one of them"
            )
        return loaded

    def _hint(self, module: str) -> str:
        """A module of the project that is nearly called so."""
        parts = _parts(module)
        if not parts:
            return ""
        *packages, last = parts
        near: list[str] = []
        for base in self._bases(parts[0]):
            folder = base.joinpath(*packages)
            stems = [file.stem for file in folder.glob("*.py")]
            near += difflib.get_close_matches(last, stems, n=1)
        if not near:
            return ""
        meant = ".".join([*packages, near[0]])
        return f"; did you mean {meant!r}?"

    def spec(self, module: str) -> ModuleSpec | None:
        """How the import system finds a module of the project."""
        file = self.find(module)
        if file is not None:
            inside: list[str] | None = None
            if file.name == "__init__.py":
                inside = [str(file.parent)]
            loader = FreshLoader(module, str(file)) if _FINDER.is_fresh else None
            return spec_from_file_location(
                module, file, loader=loader, submodule_search_locations=inside
            )
        folders = self._package_folders(module)
        if not folders:
            return None
        package = ModuleSpec(module, None, is_package=True)
        package.submodule_search_locations = folders
        return package

    def _package_folders(self, module: str) -> list[str]:
        """The folders of a package without an `__init__.py`: it may lie in several places, as `nodes` does."""
        parts = _parts(module)
        if not parts:
            return []
        folders: list[str] = []
        for base in self._bases(parts[0]):
            folder = base.joinpath(*parts)
            if folder.is_dir():
                folders.append(str(folder))
        return folders

    def _holds(self, file: Path) -> bool:
        """Whether a file is in one of the folders, and not only beside it."""
        folders = (*self.folders, shipped_root())
        return any(map(file.is_relative_to, folders))

    def _bases(self, top: str) -> list[Path]:
        """Where a module with that first name may begin."""
        bases: list[Path] = []
        for folder in self.folders:
            bases += [folder, folder / "src"]
        # A project that is a package itself: my/shop/graphs/g.yaml names shop.steps:check.
        for folder in self.folders:
            if folder.name == top:
                bases.append(folder.parent)
        if top in PROJECT_FOLDERS:
            bases.append(shipped_root())
        return bases


def _parts(module: str) -> list[str]:
    """The names that a module's name is made of; none if it is no such name, as in `../secret`."""
    parts = module.split(".")
    if all(map(str.isidentifier, parts)):
        return parts
    return []


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _check_free(module: str, file: Path) -> None:
    """Refuses a name that is Python's or an installed package's: whoever imports that must not get this file.

    Raises:
        NotOfTheProject: it is taken.
    """
    top, _, _ = module.partition(".")
    if top in PROJECT_FOLDERS:  # every project has these; no package is called so
        return
    if _is_pythons_or_ours(top) or _is_installed(top, file):
        raise NotOfTheProject(
            f"{file} is called like the module {top!r}, which is not the project's; rename the file"
        )


def _is_pythons_or_ours(top: str) -> bool:
    return top in sys.stdlib_module_names or top == "graphflow"


def _is_installed(top: str, file: Path) -> bool:
    origin = _FINDER.elsewhere(top)
    if origin is None:
        return False
    return not _is_below(file, origin)


def _is_below(file: Path, origin: ModuleSpec) -> bool:
    """Whether what the import system finds under a module's first name is the very file, or the package around it."""
    file = file.resolve()
    if origin.origin and origin.has_location:
        module = Path(origin.origin)
        if module.resolve() == file:
            return True
    for folder in origin.submodule_search_locations or ():
        package = Path(folder)
        if file.is_relative_to(package.resolve()):
            return True
    return False


class FreshLoader(SourceFileLoader):
    """Makes a module of its text.

    Python tells by size and second whether the bytecode that it keeps is that of a file: a file that was saved twice in a second
    is not told from what it was.
    """

    def get_code(self, fullname: str) -> CodeType:
        """The code of the text as it stands."""
        path = self.get_filename(fullname)
        source = self.get_data(path)
        return self.source_to_code(source, path)


class _Finder(MetaPathFinder):
    """Finds modules of projects, for the files that name them and for each other.

    Attributes:
        by_name: the modules that a file names at the moment, with the packages around them.
        by_file: the files that were loaded so far; what they import may be of their project, too.
        is_fresh: whether modules are made of their texts, whatever Python has kept of them.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, ProjectModules] = {}
        self.by_file: dict[str, ProjectModules] = {}
        self.is_fresh = False

    @contextmanager
    def serving(self, module: str, project: ProjectModules) -> Iterator[None]:
        """For the time of a `with`: this module is found in that project."""
        # To import a.b.c, Python asks for a and a.b first.
        names = [module]
        while "." in module:
            module = module.rpartition(".")[0]
            names.append(module)
        self.begin()
        found_in = dict.fromkeys(names, project)
        self.by_name.update(found_in)
        try:
            yield
        finally:
            for name in names:
                self.by_name.pop(name, None)

    def begin(self) -> None:
        """Answers from now on. Not before a file names code, since Python asks at each import."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def elsewhere(self, module: str) -> ModuleSpec | None:
        """How everybody else would find a module."""
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(module, None)
            if spec is not None:
                return spec
        return None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How a module is found: by its place, if a file or a module of the same project asks for it."""
        project = self.by_name.get(fullname) or self.by_file.get(_importing_file())
        if project is None:
            return None
        top, _, _ = fullname.partition(".")
        if top not in PROJECT_FOLDERS and self._is_taken(top, path):
            return None
        spec = project.spec(fullname)
        if spec is not None and spec.origin is not None:
            self.by_file[spec.origin] = project
        return spec

    def _is_taken(self, top: str, path: Sequence[str] | None) -> bool:
        """Whether a first name is somebody else's; below a package (`path`) that was asked for the package."""
        if top in sys.stdlib_module_names:
            return True
        if path is not None:
            return False
        return self.elsewhere(top) is not None


_FINDER = _Finder()


def fresh_spec(module: str, file: Path) -> ModuleSpec | None:
    """How a file is loaded that is named itself: as everybody would, or of its text while modules are fresh."""
    if not _FINDER.is_fresh:
        return spec_from_file_location(module, file)
    # What it imports of its project is fresh, too.
    _FINDER.by_file[str(file)] = ProjectModules.of(file)
    return spec_from_file_location(module, file, loader=FreshLoader(module, str(file)))


@contextmanager
def only_fresh() -> Iterator[None]:
    """For the time of a `with`: modules of projects are made of their texts."""
    _FINDER.begin()
    _FINDER.is_fresh = True
    try:
        yield
    finally:
        _FINDER.is_fresh = False


_MACHINERY = ("<frozen importlib", importlib.__file__)


def _importing_file() -> str:
    """The file whose code imports: the first frame outwards that is not the import system's own."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        frame = frame.f_back
    return frame.f_code.co_filename
