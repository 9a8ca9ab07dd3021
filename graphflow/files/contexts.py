"""Context policies as a file has them: a word, a mapping with `policy` and the options of that, or a function's address.

context: window
context: {policy: head_tail, head: 2, pins: ["order number"]}
context: graphs.desk:newest_ten
context: {policy: acme_window, words: 900}          the options of a plug-in are its own
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields

from graphflow.compaction.policies import DEFAULT, POLICIES, ContextPolicy, Window
from graphflow.errors import FileUnreadable
from graphflow.files.addresses import address, model_of
from graphflow.files.plugs import made_by_plugin, written_by_plugin
from graphflow.files.problems import FileProblems
from graphflow.plugins.factory import PluginFactory
from graphflow.plugins.seams import CONTEXTS


def read_context(
    given: object, read_model: Callable[[object], object], problems: FileProblems
) -> object:
    """The policy that a file names; of a function its address, as it is.

    Args:
        given: what the file has.
        read_model: makes a model of what declares one.
        problems: where what is wrong with a plug-in's options is reported.
    """
    options: dict[str, object] = {}
    word = str(given)
    if isinstance(given, Mapping):
        options = dict(given)
        word = str(options.pop("policy", DEFAULT.word))
    kind = POLICIES.get(word)
    plugged = None if ":" in word else CONTEXTS.find(word)
    if plugged is not None:
        return _plugged(problems, plugged, options)
    if kind is None:
        return given
    if "model" in options:
        options["model"] = read_model(options["model"])
    return kind(**options)  # type: ignore[arg-type]  # each was checked by its shape


def _plugged(
    problems: FileProblems, factory: PluginFactory, options: Mapping[str, object]
) -> object:
    made = made_by_plugin(problems, factory, object, options=options)
    # A window, or a function of the turns.
    if isinstance(made, Window) or callable(made):
        return made
    raise factory.broken(f"it makes {type(made).__name__}, which is not a context policy")


def context_spec(name: str, policy: ContextPolicy) -> dict[str, object] | str:
    """The word of a policy, and what of it is not as usual; of a function its address.

    Args:
        name: of its agent.
        policy: the policy.

    Raises:
        FileUnreadable: it pins by a function.
    """
    plugged = written_by_plugin(policy, CONTEXTS, "policy")
    if plugged is not None:
        return plugged
    if not isinstance(policy, Window):
        return address(policy)
    spec: dict[str, object] = {"policy": policy.word}
    for field in fields(policy):
        value = getattr(policy, field.name)
        if value == field.default:
            continue
        plain = _plain(name, field.name, value)
        spec[field.name] = plain
    if len(spec) == 1:
        return policy.word
    return spec


def _plain(agent: str, name: str, value: object) -> object:
    if name == "model":
        return model_of(agent, value)
    if callable(value):
        raise FileUnreadable(
            f"the context policy of agent {agent!r} pins by a function, which a file cannot hold; pin by texts"
        )
    if isinstance(value, tuple):  # YAML has none
        return list(value)
    return value
