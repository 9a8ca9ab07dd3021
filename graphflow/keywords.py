"""Keywords that a call does not know, and what was meant by them.

Everybody who refuses a keyword asks here, so that the same slip gets the same answer everywhere: a word of another framework is
translated, a slip of the pen gets the nearest words, and for the rest all keywords there are.
"""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, NoReturn, TypeVar

from graphflow.errors import DeclarationError
from graphflow.values import OF_KIND, SHAPES, ValueKind, check_values

C = TypeVar("C", bound=type)


def _by_word(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """A table of words by their meanings, turned around."""
    meanings: dict[str, tuple[str, ...]] = {}
    for meant, words in table.items():
        for word in words.split():
            meanings[word] = tuple(meant.split(" | "))
    return meanings


ELSEWHERE = _by_word(
    {
        "system=... | prompt=...": (
            "system_prompt system_message instructions instruction system_instruction backstory goal role "
            "persona preamble developer state_modifier"
        ),
        "prompt=...": "template prompt_template user_prompt input_prompt user",
        "output=...": (
            "output_type output_schema output_model output_pydantic output_cls result_type response_format "
            "response_model response_schema returns"
        ),
        "input=...": "input_type input_schema input_model",
        "model=...": "llm lm model_name model_id chat_model engine model_client",
        "tools=[...]": "functions toolsets tool_functions function_tools skills plugins calls callees",
        "sub_agents=[...]": "agents subagents team members participants managed_agents",
        "mcp=[...]": "mcp_servers servers mcps",
        "recalls=[...]": "memory memories long_term_memory retriever retrievers",
        "handoffs=[...]": "handoff transfers transfer_to swarm",
        "examples=[...]": "few_shot few_shots few_shot_examples demos shots",
        "max_turns=... | limits=Limits(steps=...) | steps=...": (
            "max_turns max_iterations max_iter max_rounds max_loops iterations max_steps max_supersteps "
            "recursion_limit step_limit"
        ),
        "limits=Limits(depth=...) | depth=...": "max_depth depth_limit",
        "limits=Limits(usd=...) | usd=...": "budget max_cost max_budget cost_limit",
        "limits=Limits(...)": "usage_limits limit",
        "max_tokens=...": "max_output_tokens max_completion_tokens max_new_tokens",
        "stop=[...]": "stop_sequences stop_words stops",
        "thinking=...": "reasoning reasoning_effort thinking_budget effort",
        "parallel_calls=...": "parallel_tool_calls",
        "extra={...}": "model_kwargs extra_body provider_options generation_config",
        "max_parallel_calls=... | limits=Limits(...)": "max_concurrency max_parallel max_workers parallelism",
        "retry=... | attempts=...": "max_retries num_retries retries retry_policy tries",
        "attempts=... | retry=...": "max_attempts retry_attempts",
        "wait_s=... | retry=Retry(wait_s=...)": "delay wait backoff min_wait initial_interval",
        "max_wait_s=... | retry=Retry(max_wait_s=...)": "max_wait max_delay max_interval",
        "factor=... | retry=Retry(factor=...)": "backoff_factor multiplier exponential_base",
        "on=(...) | retry=Retry(on=...)": "retry_on exceptions retry_if",
        "timeout_s=... | timeouts=Timeouts(...) | limits=Limits(seconds=...) | seconds=...": (
            "timeout timeout_seconds timeout_sec execution_timeout max_execution_time"
        ),
        "cache=...": "cached use_cache cache_policy memoize",
        "approval=True | approve=...": (
            "interrupt_before needs_approval require_approval requires_approval confirm human_in_the_loop "
            "requires_confirmation on_approval confirmation"
        ),
        "policy=Policy(...) | allow=[...]": "guardrails permissions allowed_tools",
        "deny=[...] | policy=Policy(deny=[...])": "disallowed_tools denied blocked forbidden",
        "allow=[...] | policy=Policy(allow=[...])": "allowed only",
        "deps=...": "deps_type context_type context_schema dependencies context ctx resources services",
        "conversation=... | session=...": "session_id thread_id conversation_id thread",
        "labels=[...]": "choices options routes classes categories destinations",
        "otherwise='label'": "default fallback else_ default_route",
        "rule=...": "condition function func fn path selector",
        "guards={...}": "conditions tests predicates",
        "examples={...}": "utterances samples",
        "threshold=...": "cutoff score_threshold min_score",
        "description=...": "doc docstring about help handoff_description tool_description",
        "name=...": "id title tool_name name_override",
        "target=...": "agent graph node",
        "ask=...": "question ask_fn handler",
        "key=...": "api_key apikey token",
        "base_url=...": "api_base endpoint base",
        "rpm=...": "rate_limit requests_per_minute",
        "tpm=...": "tokens_per_minute",
    }
)
"""What words of other frameworks are called here, best first: the first whose keyword there is counts. A keyword that there is
is never looked up."""

ARROWS = "write arrows behind the name: Graph('name', START >> a >> b, b >> END)"
MESSAGE = "give the message first, without a name"
WATCH = "iterate over graph.start(message), which yields every event"
FUNCTION = "annotate the parameters of the function; they make the schema"
PLACE = "give the command or the address behind the name"
NOTES: dict[str, dict[str, str]] = {
    "graph": {
        **dict.fromkeys(
            ("edges", "arrows", "flow", "nodes", "steps", "tasks", "start", "entry_point", "entry"),
            ARROWS,
        ),
        "name": "give the name first, without a keyword",
    },
    "run": {
        **dict.fromkeys(("message", "input", "inputs", "prompt", "query"), MESSAGE),
        **dict.fromkeys(
            ("callback", "callbacks", "hooks", "on_event", "stream", "streaming", "verbose"), WATCH
        ),
    },
    "agent": {"calls": "write tools=[...]"},
    "tool": dict.fromkeys(
        ("parameters", "args_schema", "schema", "input_schema", "args"), FUNCTION
    ),
    "server": dict.fromkeys(("args", "argv", "cmd", "command", "url"), PLACE),
}
"""What to do instead where no keyword was meant, by kind and word."""

NEARLY_THE_SAME = 0.8
"""How near a keyword has to be, as `difflib` counts it, to come before what the word means elsewhere."""
SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "seed",
    "presence_penalty",
    "frequency_penalty",
)


RENAMED: Mapping[str, Mapping[str, str]] = {
    "agent": {"turns": "max_turns", "at_once": "max_parallel_calls"},
    "code": {"most_calls": "max_calls"},
    "Retry": {"most_s": "max_wait_s"},
    "RetryPolicy": {"most_s": "max_wait_s"},
}
"""The new name of each keyword that had another one, by who takes it. Old ones are taken with a warning until 0.3."""


class Keywords(NamedTuple):
    """What a constructor can be given."""

    places: tuple[str, ...]
    """What may be given without a keyword, in order."""
    many: bool
    """Whether any number may be given without a keyword."""
    named: tuple[str, ...]
    """Keywords, those of every node included."""
    required: tuple[str, ...]
    """What has to be given."""
    open: bool
    """Whether it takes keywords that only its author knows."""
    every: frozenset[str]
    """The keywords as a set."""
    shapes: Mapping[str, ValueKind]
    """What may stand behind them."""
    known_calls: dict[tuple[object, ...], list[str]]
    """The calls whose keywords are right, by how much was given and under which names, with the names that have a shape."""

    def fits(self, given: Sequence[object], options: Mapping[str, object]) -> bool:
        """Whether a call is all right: the short way for nearly all of them, which has nothing to tell."""
        # Every node that is made comes through here, most of them by one line of somebody's code: whether the keywords
        # of a call are right is found once for all calls that have the same.
        call = (len(given), *options)
        shaped = self.known_calls.get(call)
        if shaped is None:
            if not self._names_fit(given, options):
                return False
            names = [*self.places[: len(given)], *options]
            shaped = self.known_calls[call] = [name for name in names if name in self.shapes]
        for name in shaped:
            value = options[name] if name in options else given[self.places.index(name)]
            if value is not None and not self.shapes[name].fits(value):
                return False
        return True

    def _names_fit(self, given: Sequence[object], options: Mapping[str, object]) -> bool:
        """Whether everything is given once, under a name that there is, and nothing is missing."""
        if len(given) > len(self.places) and not self.many:
            return False
        if not self.open and not options.keys() <= self.every:
            return False
        placed = self.places[: len(given)]
        return options.keys().isdisjoint(placed) and not self.lacking(given, options)

    def beyond(self, given: Sequence[object]) -> Sequence[object]:
        """Values behind the last place that there is."""
        return () if self.many else given[len(self.places) :]

    def unknown(self, options: Iterable[str]) -> list[str]:
        """Keywords that there are not."""
        return [] if self.open else [word for word in options if word not in self.named]

    def lacking(self, given: Sequence[object], options: Iterable[str]) -> list[str]:
        """What has to be given and is not."""
        placed = self.places[: len(given)]
        return [name for name in self.required if name not in options and name not in placed]


def keywords_of(
    function: Callable[..., object], shared: Iterable[str] = (), kind: str = ""
) -> Keywords:
    """What a constructor can be given; `shared` is what stands behind `**options: Unpack[NodeOptions]`."""
    places: list[str] = []
    named: list[str] = []
    required: list[str] = []
    many = is_open = False
    _, *parameters = inspect.signature(function).parameters.values()  # the first is `self`
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            many = True
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            is_open = "NodeOptions" not in str(parameter.annotation)
            named += shared
            continue
        if parameter.kind is not parameter.KEYWORD_ONLY:
            places.append(parameter.name)
        if parameter.kind is not parameter.POSITIONAL_ONLY:
            named.append(parameter.name)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    return Keywords(
        tuple(places),
        many,
        tuple(named),
        tuple(required),
        is_open,
        frozenset(named),
        {**SHAPES, **OF_KIND.get(kind, {})},
        {},
    )


def present_names(whose: str, kind: str, options: Mapping[str, object]) -> dict[str, object]:
    """Options under the names that their keywords have now.

    Raises:
        DeclarationError: one was given under both its names.
    """
    renamed = RENAMED.get(kind, {})
    present: dict[str, object] = {}
    for name, value in options.items():
        new = renamed.get(name, name)
        if new != name and new in options:
            raise DeclarationError(
                f"{whose} was given {new}= twice, the second time as {name}=; leave {name}= out"
            )
        present[new] = value
    return present


def take_renamed(kind: str, options: Any) -> dict[str, Any]:
    """Takes out of `options` what was given under an old name, and returns it under the new one, with a warning.

    To be called by a constructor, so that the warning shows the line that calls the constructor.
    """
    taken: dict[str, Any] = {}
    for old, new in RENAMED.get(kind, {}).items():
        if old not in options:
            continue
        taken[new] = options.pop(old)
        whose = kind[:1].upper() + kind[1:]
        _warn_of_old_name(f"{whose}({old}=...)", f"{whose}({new}=...)", stacklevel=4)
    return taken


def _warn_of_old_name(old: str, new: str, stacklevel: int) -> None:
    warnings.warn(
        f"{old} is now {new}; the old name goes with 0.3", DeprecationWarning, stacklevel=stacklevel
    )


def refuse(
    whose: str,
    unknown: Iterable[str],
    have: Iterable[str],
    kind: str = "",
    lacking: Sequence[str] = (),
) -> NoReturn:
    """Refuses keywords that there are not, all at once.

    Args:
        whose: who was given them: "agent 'clerk'".
        unknown: the keywords.
        have: those that there are.
        kind: what that is, in a word, for `NOTES`.
        lacking: what is missing besides.

    Raises:
        DeclarationError: always; the text says what was meant.
    """
    shown = [word for word in have if not word.startswith("_")]
    problems: list[str] = []
    for word in unknown:
        advice = meant_by(word, shown, kind)
        problems.append(f"{whose} has no option {word!r}; {advice}")
    # What the advice names already is not said twice.
    advised = "\n".join(problems)
    missing = [word for word in lacking if f"{word}=" not in advised]
    if missing:
        problems.append(_lacking_text(whose, missing))
    raise DeclarationError("\n".join(problems))


def check(
    whose: str,
    known: Keywords,
    given: Sequence[object],
    options: Mapping[str, object],
    kind: str = "",
) -> None:
    """Refuses a call with keywords that there are not, with values beyond the last place, or without what it needs.

    Raises:
        DeclarationError: so it is.
    """
    lacking = known.lacking(given, options)
    unknown = known.unknown(options)
    if unknown:
        refuse(whose, unknown, known.named, kind, lacking)
    beyond = known.beyond(given)
    if beyond:
        raise DeclarationError(
            f"{whose} was given {beyond[0]!r} without a keyword; {_keyword_hint(known)}"
        )
    for word in known.places[: len(given)]:
        if word in options:
            raise DeclarationError(
                f"{whose} was given {word!r} twice, in its place and by its name; leave one out"
            )
    if lacking:
        raise DeclarationError(_lacking_text(whose, lacking))


def _lacking_text(whose: str, lacking: Iterable[str]) -> str:
    listed = " and ".join(map(repr, lacking))
    return f"{whose} lacks {listed}; add it"


def _keyword_hint(known: Keywords) -> str:
    """What to do with a value that has no place."""
    others = [f"{word}=" for word in known.named if word not in known.places]
    if not others:
        return "leave it out"
    listed = ", ".join(others)
    return f"say what it is: {listed}"


def translated(word: str, have: Iterable[str]) -> str | None:
    """The keyword that a word of another framework is here, if it is one of those that there are."""
    known = set(have)
    for meant in ELSEWHERE.get(word, ()):
        keyword, _, _ = meant.partition("=")
        if keyword in known:
            return keyword
    return None


def meant_by(word: str, have: Sequence[str], kind: str = "") -> str:
    """What to write for a keyword that there is not."""
    notes = NOTES.get(kind, {})
    if word in notes:
        return notes[word]
    target = translated(word, have)
    slip = difflib.get_close_matches(word.lower(), have, n=1, cutoff=NEARLY_THE_SAME)
    # A keyword of one's own comes before the words of others.
    if target is not None and slip and slip[0] != target:
        return f"did you mean {slip[0]}=?"
    for meant in ELSEWHERE.get(word, ()):
        keyword, _, _ = meant.partition("=")
        if keyword == target:
            return f"write {meant}"
    if word in SAMPLING:
        return f"write Agent({word}=...)"
    near = difflib.get_close_matches(word.lower(), have, n=2)
    if near:
        listed = " or ".join(f"{keyword}=" for keyword in near)
        return f"did you mean {listed}?"
    if not have:
        return "it takes none"
    listed = ", ".join(have)
    return f"there are: {listed}"


def strict_keywords(kind: C) -> C:
    """Makes the constructor of a dataclass refuse keywords and values as nodes do. A class decorator."""
    made = kind.__init__  # type: ignore[misc]  # of this very class
    known = keywords_of(made)
    name = kind.__name__

    @wraps(made)
    def __init__(self: object, *given: object, **options: object) -> None:
        if name in RENAMED:
            present_names(name, name, options)
            options |= take_renamed(name, options)
        if name in OF_KIND:
            check_values(name, name, (*zip(known.places, given, strict=False), *options.items()))
        try:
            made(self, *given, **options)
        except TypeError:
            # Only now, as a call that is right needs no second look; what is not about keywords goes on as it is.
            check(name, known, given, options)
            raise

    kind.__init__ = __init__  # type: ignore[misc]
    return kind
