"""What plug-ins bring to files: their words beside ours, their options with the place of whatever is wrong in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

from graphflow.errors import FileUnreadable, PluginOptionsInvalid
from graphflow.files.document import PlainMapping
from graphflow.files.problems import FileProblems
from graphflow.files.values import Plain, shown
from graphflow.joint_policy import PluggedPolicy
from graphflow.misfits import near
from graphflow.plugins.factory import PluginFactory
from graphflow.plugins.making import Making, making_of
from graphflow.plugins.registry import Seam
from graphflow.plugins.seams import POLICIES
from graphflow.policy import Policy

T = TypeVar("T")


def one_of_seam(seam: Seam) -> Plain:
    """One of the words of a seam: those that are built in, and those of plug-ins."""
    listed = ", ".join(seam.built_in)

    def fits(value: object) -> bool:
        if not isinstance(value, str):
            return False
        return value in seam.built_in or seam.has(value)

    meant = partial(meant_word, seam, seam.built_in)
    return Plain(f"one of {listed}", fits, {"enum": list(seam.built_in)}, meant)


def meant_word(seam: Seam, words: Sequence[str], value: object) -> str:
    """What was probably meant by a word that nobody knows; "" if nothing is known.

    Args:
        seam: whose plug-ins may have been meant.
        words: what else may.
        value: the word.
    """
    # Only for an error are plug-ins looked for.
    others = seam.plugged()
    if isinstance(value, str):
        hint = near(value, [*words, *others])
        if "did you mean" in hint:
            return hint
    if not others:
        return ""
    listed = ", ".join(others)
    return f", or a plug-in: {listed}"


def is_plugged(seam: Seam, entry: PlainMapping, key: str) -> bool:
    """Whether the word that a mapping has under a key is a plug-in's."""
    word = entry.get(key)
    return isinstance(word, str) and word not in seam.built_in and seam.has(word)


def made_by_plugin(
    problems: FileProblems,
    factory: PluginFactory,
    kind: type[T],
    *values: object,
    options: Mapping[str, object],
    known: Collection[str] = (),
    written: Mapping[str, object] | None = None,
) -> T:
    """What a plug-in makes of the options of a file; `PluginFactory.make` says what each is.

    Raises:
        FileUnreadable: the options cannot be; the text has line and column of the first that is wrong, and all are reported.
    """
    try:
        return factory.make(kind, *values, options=options, known=known, written=written)
    except PluginOptionsInvalid as error:
        found: list[FileUnreadable] = []
        for path, problem in error.problems:
            text = _problem(factory, path, problem)
            located = problems.error(text, *path)
            found.append(located)
    first, *others = found
    # All at once: one is raised, and the others are told with it.
    for other in others:
        problems.report(other)
    raise first


def _problem(factory: PluginFactory, path: tuple[object, ...], problem: str) -> str:
    place = ".".join(map(str, path))
    whose = f"{factory.word} ({factory.seam} of {factory.distribution})"
    if not place:
        return f"{whose}: {problem}"
    return f"{whose}: {shown(place)}: {problem}"


def written_by_plugin(thing: object, seam: Seam, key: str) -> dict[str, object] | str | None:
    """What a plug-in has made as a file has it: its word, or a mapping with the word under a key; None: none has made it."""
    making = making_of(thing, seam.name)
    if making is None:
        return None
    if not making.options:
        return making.word
    return {key: making.word, **making.options}


def read_policy(given: object, problems: FileProblems) -> Policy:
    """The policy that a file declares: its rules, or what a plug-in makes.

    Raises:
        FileUnreadable: no plug-in has that name, or not such options.
    """
    options = {"policy": given} if isinstance(given, str) else given
    assert isinstance(options, Mapping)
    if "policy" not in options:
        return Policy(**options)
    own = dict(options)
    word = str(own.pop("policy"))
    factory = POLICIES.find(word)
    if factory is None:
        hint = near(word, POLICIES.plugged())
        raise problems.error(f"no plug-in brings a policy {shown(word)}{hint}")
    made = made_by_plugin(problems, factory, Policy, options=own)
    making = Making(POLICIES.name, word, own)
    return PluggedPolicy(made, making)
