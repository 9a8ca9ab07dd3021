"""What may stand at the end of a command line: commands, options, and what these take.

    words  >  place_of: the command, and the parameter that comes next  >  its names  >  those that begin so

Shells wait for this at every press of a key, so neither graphs nor projects are loaded (`completion_names`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from typer.main import get_command

from graphflow.cli.command_group import ClickObject
from graphflow.cli.completion_names import NAMES, Candidate

ABOUT_WIDTH = 70
"""Columns of what stands beside a command."""


@dataclass(slots=True)
class LinePlace:
    """Where on a line one is.

    Attributes:
        command: the one that is typed.
        arguments: how many arguments of it stand there already.
        option: the option whose value comes next; None: none is open.
        is_plain: whether options have ended, by `--`.
    """

    command: ClickObject
    arguments: int = 0
    option: ClickObject | None = None
    is_plain: bool = False


def complete(root: ClickObject, line: str) -> list[Candidate]:
    """What the last word of a line may become.

    Args:
        root: all commands.
        line: as far as it is typed, with the name of the program.
    """
    words = _words(line)
    if len(words) < 2:  # the name of the program itself
        return []
    _, *before, word = words
    place = _place_of(root, before)
    found = _candidates(root, place, word)
    return [each for each in found if each.text.startswith(word)]


def _words(line: str) -> list[str]:
    """The words of a line, the last one as far as it is typed: "" where a new one begins."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            words.append(word)
    except ValueError:  # a quote is still open: all behind it is one word
        words.append(lexer.token)
        return words
    if line[-1:].isspace():
        words.append("")
    return words


def _place_of(root: ClickObject, words: Sequence[str]) -> LinePlace:
    place = LinePlace(root)
    for word in words:
        _step(root, place, word)
    return place


def _step(root: ClickObject, place: LinePlace, word: str) -> None:
    """Takes one word into account."""
    if place.option is not None:
        place.option = None
        return
    if word == "--":
        place.is_plain = True
        return
    if _is_option(place, word):
        place.option = _awaiting(root, place, word)
        return
    within = _commands_of(place.command).get(word)
    # Behind an argument, the name of a command is a word like any other.
    if within is not None and place.arguments == 0:
        place.command = within
        return
    place.arguments += 1


def _is_option(place: LinePlace, word: str) -> bool:
    """Whether a word is an option; a single dash is standard input."""
    if place.is_plain or word == "-":
        return False
    return word.startswith("-")


def _awaiting(root: ClickObject, place: LinePlace, word: str) -> ClickObject | None:
    """The option whose value is the next word; None: its value stands in this one, or it takes none."""
    name, equals, _ = word.partition("=")
    option = _option_named(root, place, name)
    if equals or option is None or option.is_flag:
        return None
    return option


def _commands_of(command: ClickObject) -> dict[str, ClickObject]:
    return getattr(command, "commands", {})


def _options_of(command: ClickObject) -> list[ClickObject]:
    return [each for each in command.params if each.param_type_name == "option"]


def _option_named(root: ClickObject, place: LinePlace, name: str) -> ClickObject | None:
    """The option of that name; those of the program may stand behind every command."""
    for option in (*_options_of(place.command), *_options_of(root)):
        if name in (*option.opts, *option.secondary_opts):
            return option
    return None


def _candidates(root: ClickObject, place: LinePlace, word: str) -> Iterator[Candidate]:
    if place.option is not None:
        yield from _values_of(place.option)
        return
    # One dash alone may become an option, too.
    if not place.is_plain and word.startswith("-"):
        yield from _options(root, place, word)
        return
    commands = _commands_of(place.command)
    if commands and place.arguments == 0:
        yield from _named(commands)
        return
    argument = _argument_at(place)
    if argument is not None:
        yield from _values_of(argument)


def _named(commands: Mapping[str, ClickObject]) -> Iterator[Candidate]:
    for name, command in commands.items():
        about = command.get_short_help_str(ABOUT_WIDTH)
        yield Candidate(name, about)


def _options(root: ClickObject, place: LinePlace, word: str) -> Iterator[Candidate]:
    name, equals, _ = word.partition("=")
    if equals:
        option = _option_named(root, place, name)
        yield from _joined(name, option)
        return
    for option in _options_of(place.command):
        about = _first_sentence(option.help or "")
        names = (*option.opts, *option.secondary_opts)
        # Short ones are known to whoever types them.
        for long in filter(_is_long, names):
            yield Candidate(long, about)
    yield Candidate("--help", "Show this message and exit.")


def _is_long(name: str) -> bool:
    return name.startswith("--")


def _joined(name: str, option: ClickObject | None) -> Iterator[Candidate]:
    """The values of an option, as they stand behind its name and an equals sign."""
    if option is None:
        return
    for value in _values_of(option):
        yield Candidate(f"{name}={value.text}", value.about)


def _first_sentence(text: str) -> str:
    sentence, _, _ = text.partition(". ")
    return sentence


def _argument_at(place: LinePlace) -> ClickObject | None:
    arguments = [each for each in place.command.params if each.param_type_name == "argument"]
    if place.arguments < len(arguments):
        return arguments[place.arguments]
    # The last one may take all that follows.
    if arguments and arguments[-1].nargs == -1:
        return arguments[-1]
    return None


def _values_of(parameter: ClickObject) -> Iterator[Candidate]:
    """What a parameter takes, as far as that has names."""
    choices = _choices_of(parameter)
    if choices:
        yield from (Candidate(str(choice)) for choice in choices)
        return
    names = NAMES.get((parameter.param_type_name, parameter.name))
    if names is not None:
        yield from names()


def _choices_of(parameter: ClickObject) -> Sequence[object]:
    """The words that a parameter is limited to; older versions of typer keep them in a type of click."""
    described = getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", None)
    return getattr(described, "choices", None) or ()


def for_bash(found: Sequence[Candidate], word: str, breaks: str) -> list[Candidate]:
    """The candidates as bash wants them: without what stands before the last character at which it breaks words."""
    start = 0
    # Only these can stand in a word that means itself.
    where = set(":=@") & set(breaks)
    for position, character in enumerate(word, 1):
        if character in where:
            start = position
    return [Candidate(each.text[start:], each.about) for each in found]


def print_completion(arguments: Sequence[str]) -> None:
    """Prints what a shell asks for: `SHELL BREAKS LINE`, as the scripts of `completion_scripts` say it."""
    from graphflow.cli.app import app

    shell, breaks, line = arguments
    found = complete(get_command(app), line)
    if shell == "bash":
        word = _words(line)[-1]
        found = for_bash(found, word, breaks)
    for each in found:
        about = " ".join(each.about.split())
        print(f"{each.text}\t{about}")
