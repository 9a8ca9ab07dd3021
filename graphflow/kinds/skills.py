"""Skills: folders of instructions that a model reads when it needs them, step by step.

The format is that of Agent Skills (https://agentskills.io/specification; Anthropic, 2025): a folder with a `SKILL.md`, which is
YAML front matter with `name` (at most 64 characters: a-z, 0-9 and single hyphens; the folder's own name) and `description` (at
most 1024), then Markdown; other files as they come, by custom in `references/`, `scripts/` and `assets/`. `license`,
`compatibility`, `metadata` and `allowed-tools` are allowed and mean nothing here: what may be called, edges and policies say.

Rules:
1. A model sees names and descriptions first; a skill's text when it asks for it; a file of it when it asks for that.
2. Names and descriptions are read once, at the declaration, for they belong to the graph; texts and files at each call.
3. What is read is a regular file within its skill, found by walking the folder: no link is followed, no path leads out.
4. Texts are shown as they are; nothing in them is a template. A script is a text, unless there is a `runner`: then running
   it is a call along an edge, a step of the walk.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Unpack

from pydantic import BaseModel, ConfigDict, Field

from graphflow.access import Access, FixedTexts
from graphflow.concurrency import in_thread
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, Callee, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, ToolError
from graphflow.kinds.tool import OUTPUT_LIMIT, Tool, result_text, schema_of, spec_of
from graphflow.model.seam import ToolSpec

HEAD = "SKILL.md"
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NAME_LIMIT, ABOUT_LIMIT = 64, 1024
"""Characters of a name and of a description, by the specification."""
BYTES = 2**20
"""Bytes of one file that is read."""
MOST = 500
"""Skills of one node."""
FILES = 200
"""Files of one skill that a model is told of."""
MAX_NAMED = 20
"""Files of one skill that an error names."""
ROOM_FOR_A_HINT = 200
"""Characters that are kept free behind a text that is cut, to say where it goes on."""
CATALOGUE = 16_000
"""Characters of all descriptions together that a model is shown; beyond, each is cut to its share."""


class SkillArguments(BaseModel):
    """What a model asks for."""

    model_config = ConfigDict(extra="forbid")
    skill: str = Field(description="The name of the skill.")
    file: str = Field(
        "",
        description="A file of the skill, as its list of files has it; without it, the skill's own text.",
    )
    start: int = Field(0, ge=0, description="The character to begin at, if a text was cut.")


class SkillRun(SkillArguments):
    """What a model asks for, or wants to be run."""

    run: bool = Field(
        False, description="Whether to run that file, a script, instead of reading it."
    )
    arguments: list[str] = Field([], description="What the script is given.")


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill, as its front matter has it."""

    name: str
    description: str
    folder: Path


class Skills(Tool[Any, str]):
    """A tool that discloses skills: folders, each with a `SKILL.md`.

    Args:
        folders: folders of skills, or single skills. A relative one starts at the working directory.
        name: what a model calls it.
        runner: what runs scripts, a node or the name of one: it takes `code`, the script's text (as `Code` does), or `path`,
            where it lies; and `arguments`, if it has such a parameter. Without a runner scripts are only read.
        description: what stands before the list of skills for a model.
        output_limit: characters of a text that a model is shown at a time; it can ask for the rest.
        retry, timeout_s, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).

    Raises:
        DeclarationError: a folder is missing, or a skill in it does not keep to the format; all problems are told at once.
    """

    kind: ClassVar[str] = "skills"
    folders: tuple[str, ...]
    skills: tuple[Skill, ...]

    def __init__(
        self,
        *folders: str | Path,
        name: str = "skill",
        runner: Callee | None = None,
        description: str = "",
        output_limit: int = OUTPUT_LIMIT,
        **options: Unpack[NodeOptions],
    ) -> None:
        if not folders:
            raise DeclarationError(f"Skills(name={name!r}): give at least one folder")
        is_whole = isinstance(output_limit, int) and not isinstance(output_limit, bool)
        if not is_whole or output_limit < 1:
            raise DeclarationError(
                f"skills {name!r}: output_limit={output_limit!r} must be a number of characters"
            )
        skills = _read_folders(name, [Path(folder) for folder in folders])
        arguments = SkillArguments if runner is None else SkillRun
        self._declare(
            name,
            ports=(Port("arguments", arguments | str),),
            output=str,
            description=description,
            calls=() if runner is None else (runner,),
            problems=_runner_problems(runner),
            **options,
        )
        self._set(
            arguments=arguments,
            output_limit=output_limit,
            streams=False,
            effects=frozenset(["reads"]),
            access=Access(paths=FixedTexts(tuple(map(str, folders))), hosts=()),
            skills=skills,
            folders=tuple(map(str, folders)),
        )

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it: the skills' names and descriptions."""
        # 80 characters still say what a skill is for.
        share = max(80, CATALOGUE // len(self.skills))
        lines = [self.description or ABOUT, "Skills:"]
        for skill in self.skills:
            about = _one_line(skill.description, share)
            lines.append(f"- {skill.name}: {about}")
        description = "\n".join(lines)
        parameters = schema_of(self.arguments)
        return ToolSpec(self.name, description, parameters)

    async def __call__(self, *args: object, **kwargs: object) -> Any:
        """What a walk would read, without its runner."""
        given = args[0] if args else kwargs
        asked = self.read(given)
        return await in_thread(self._read, asked)

    async def activate(self, inputs: Inputs, ctx: Context) -> str:
        """The text that was asked for, or what a script answered.

        Raises:
            ToolError: there is no such skill or file, or it is not text.
        """
        given = next(iter(inputs.values()))
        if isinstance(given, str):  # on an edge, text is a name
            given = {"skill": given}
        asked: Any = self.read(given)
        if not getattr(asked, "run", False):
            return await in_thread(self._read, asked)
        answer = await self._run(asked, ctx)
        return result_text(self.name, answer, None)

    def _skill(self, name: str) -> Skill:
        for skill in self.skills:
            if skill.name == name:
                return skill
        names = [skill.name for skill in self.skills]
        have = ", ".join(names)
        raise ToolError(f"there is no skill {name!r}; there is: {have}")

    def _read(self, asked: Any) -> str:
        """The text of a skill, or of a file of it, from where the model wants to go on."""
        skill = self._skill(asked.skill)
        if asked.file in ("", HEAD):
            path = _file(skill, HEAD)
            _, body = _parts(_text(path))
            text = body.strip()
            more = _listed(skill)
        else:
            path = _file(skill, asked.file)
            text = _text(path)
            more = ""
        start: int = asked.start
        size = len(text)
        room = self.output_limit - len(more) - ROOM_FOR_A_HINT
        end = start + max(1, room)
        if end < size:
            more = f"\n[cut at character {end} of {size}; go on with start={end}]{more}"
        return text[start:end] + more

    async def _run(self, asked: Any, ctx: Context) -> Any:
        """Hands a script to the runner: a call along its edge."""
        skill = self._skill(asked.skill)
        path = await in_thread(_file, skill, asked.file)
        fields = self._runner_fields(ctx)
        given: dict[str, Any] = {}
        if "code" in fields:
            given["code"] = await in_thread(_text, path)
        else:
            given["path"] = str(path)
        if "arguments" in fields:
            given["arguments"] = asked.arguments
        elif asked.arguments:
            raise ToolError(f"{asked.file!r} cannot be given arguments: its runner takes none")
        # By its edge, not by what was found above: the walk itself looks for it.
        runner = self.calls[0]
        name = runner if isinstance(runner, str) else runner.name
        return await ctx.call(name, given)

    def _runner_fields(self, ctx: Context) -> Sequence[str]:
        """What the runner takes; nothing is known of one that cannot be reached."""
        reachable = ctx.frame.reachable(self, ctx)
        for runner in (*reachable, *self.calls):
            if isinstance(runner, Node):
                return _fields(runner)
        return ()


ABOUT = "Read a skill: instructions for a kind of task. Read the one that fits before you begin."
"""What a model is told before the list, unless there is a description."""


def _fields(runner: AnyNode) -> Sequence[str]:
    schema = spec_of(runner).parameters
    properties = schema.get("properties", {})
    return tuple(properties)


def _runner_problems(runner: Callee | None) -> tuple[str, ...]:
    """What is wrong with a runner; of a name nothing is known yet."""
    if not isinstance(runner, Node):
        return ()
    fields = _fields(runner)
    if "code" in fields or "path" in fields:
        return ()
    taken = ", ".join(fields)
    return (
        f"its runner {runner.name!r} takes {taken}; it must take `code`, a script's text, or `path`",
    )


def _one_line(text: str, limit: int) -> str:
    words = text.split()
    line = " ".join(words)
    if len(line) <= limit:
        return line
    end = limit - 3
    return f"{line[:end]}..."


# -- declaring -------------------------------------------------------------------------------------
def _read_folders(name: str, folders: Sequence[Path]) -> tuple[Skill, ...]:
    """The skills of all folders, by name.

    Raises:
        DeclarationError: something is wrong with them; the text has all of it.
    """
    skills: dict[str, Skill] = {}
    problems: list[str] = []
    for folder in folders:
        for place in _skill_folders(folder, problems):
            nested = place != folder
            try:
                skill = _read_skill(place, nested=nested)
            except ToolError as error:
                problems.append(str(error))
                continue
            other = skills.setdefault(skill.name, skill)
            if other is not skill:
                places = f"{other.folder} and {skill.folder}"
                problems.append(f"two skills are named {skill.name!r}: {places}")
    count = len(skills)
    if count > MOST:
        problems.append(
            f"there are {count} skills, and one node lists {MOST} at most; make several"
        )
    if problems:
        lines = [f"skills {name!r}:", *problems]
        raise DeclarationError("\n  ".join(lines))
    in_order = sorted(skills)
    return tuple(skills[key] for key in in_order)


def _skill_folders(folder: Path, problems: list[str]) -> list[Path]:
    """The folder itself, if it is a skill, else the skills in it."""
    if not folder.is_dir():
        problems.append(f"{folder} is not a folder")
        return []
    if (folder / HEAD).exists():
        return [folder]
    inside: list[Path] = []
    for place in sorted(folder.iterdir()):
        head = place / HEAD
        if head.exists():
            inside.append(place)
    if not inside:
        problems.append(f"{folder} holds no skill: no {HEAD} in it, nor in a folder in it")
    return inside


def _read_skill(folder: Path, *, nested: bool) -> Skill:
    """The skill of one folder.

    Raises:
        ToolError: it does not keep to the format.
    """
    if nested and folder.is_symlink():
        target = str(folder.resolve())
        raise ToolError(
            f"{folder} is a link; give the folder that it leads to, Skills({target!r}, ...)"
        )
    root = folder.resolve()
    file = folder / HEAD
    try:
        head, _ = _parts(_text(root / HEAD))
        name = _checked_name(head.get("name"), root.name)
        description = _checked_description(head.get("description"))
    except ToolError as error:
        raise ToolError(f"{file}: {error}") from None
    return Skill(name, description, root)


def _checked_name(name: object, folder: str) -> str:
    if not isinstance(name, str) or not name:
        raise ToolError("the front matter has no `name`")
    is_long = len(name) > NAME_LIMIT
    if is_long or not NAME.fullmatch(name):
        allowed = f"up to {NAME_LIMIT} of a-z, 0-9 and single hyphens between them"
        raise ToolError(f"the name {name!r} is not allowed; {allowed}")
    if name != folder:
        raise ToolError(f"the name {name!r} is not that of its folder, {folder!r}; rename one")
    return name


def _checked_description(description: object) -> str:
    if not isinstance(description, str) or not description.strip():
        raise ToolError(
            "the front matter has no `description`: what the skill does, and when to use it"
        )
    size = len(description)
    if size > ABOUT_LIMIT:
        raise ToolError(f"the description has {size} characters, and may have {ABOUT_LIMIT}")
    return description.strip()


_FRONT_MATTER = re.compile(
    r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)


def _parts(text: str) -> tuple[Mapping[str, Any], str]:
    """Front matter and body.

    Raises:
        ToolError: the front matter is missing or no YAML.
    """
    import yaml

    match = _FRONT_MATTER.match(text)
    if match is None:
        raise ToolError("it does not begin with front matter between two lines of ---")
    try:
        head = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # On one line: YAML's own text draws the place with an arrow below it.
        words = str(error).split()
        reason = " ".join(words)[:200]
        raise ToolError(f"its front matter is not YAML: {reason}") from None
    if not isinstance(head, dict):
        raise ToolError("its front matter is not a mapping; write name: and description:")
    end = match.end()
    return head, text[end:]


# -- files -----------------------------------------------------------------------------------------
def _files(root: Path) -> list[str]:
    """The regular files of a skill, relative, in order; links are not followed and not listed."""
    found: list[str] = []
    for place, folders, files in os.walk(root, followlinks=False):
        folders.sort()  # in place: os.walk goes on in this order
        for name in sorted(files):
            path = os.path.join(place, name)
            if _is_regular(path):
                inner = Path(path).relative_to(root)
                found.append(inner.as_posix())
        if len(found) > 10 * FILES:  # a folder that nobody meant as a skill, such as a home
            break
    return found


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:  # it is gone
        return False


def _listed(skill: Skill) -> str:
    files = [file for file in _files(skill.folder) if file != HEAD]
    if not files:
        return ""
    lines = ["\n\nFiles of this skill:"]
    for file in files[:FILES]:
        lines.append(f"- {file}")
    others = len(files) - FILES
    if others > 0:
        lines.append(f"- and {others} more")
    return "\n".join(lines)


def _file(skill: Skill, asked: str) -> Path:
    """Where a file of a skill lies.

    Raises:
        ToolError: there is no such file in the skill.
    """
    slashed = asked.replace("\\", "/")  # some models write paths as Windows does
    wanted = PurePosixPath(slashed).as_posix()
    files = _files(skill.folder)
    found = skill.folder / wanted
    # The folder is what it was when it was walked.
    is_there = wanted in files and found.resolve() == found
    if not is_there:
        have = _have(files)
        raise ToolError(f"skill {skill.name!r} has no file {asked!r}; it has {have}")
    return found


def _have(files: Sequence[str]) -> str:
    others = [file for file in files if file != HEAD]
    if not others:
        return "no files"
    if len(others) > MAX_NAMED:
        others[MAX_NAMED:] = ["..."]
    return ", ".join(others)


def _flag(name: str) -> int:
    """A flag for opening files; 0 on a system that has no such flag."""
    flag: int = getattr(os, name, 0)
    return flag


_READING = os.O_RDONLY | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK") | _flag("O_BINARY")
"""No link is followed, and no pipe is waited for."""


def _text(path: Path) -> str:
    """The text of a regular file.

    Raises:
        ToolError: it is no such thing, too large, or gone.
    """
    try:
        handle = os.open(path, _READING)
    except OSError as error:
        raise ToolError(f"{path.name} cannot be read: {error.strerror}") from None
    # What was opened is looked at, not the path: between a look and an opening a file can be exchanged.
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise ToolError(f"{path.name} is not a file")
        if state.st_size > BYTES:
            raise ToolError(f"{path.name} has {state.st_size} bytes, and {BYTES} are read at most")
        content = file.read(BYTES + 1)  # it may have grown since
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ToolError(f"{path.name} is not text (UTF-8)") from None
