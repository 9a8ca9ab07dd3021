"""An agent as users make one: a node for graphs, and, for a question or two, something that runs by itself.

What it does in a walk lies below (`graphflow.kinds.agent`). This is its face, which stands above all that it calls, and loads
that when it is called: an agent that is only declared loads no runtime.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

from graphflow.declaration.arrows import END, START, In, Out
from graphflow.kinds.agent import AgentNode, AgentOptions
from graphflow.proofs.problems import place_text
from graphflow.proofs.proven import ProvenGraph
from graphflow.runtime.options import RunOptions, SittingOptions

A = TypeVar("A")
B = TypeVar("B")

if TYPE_CHECKING:
    from graphflow.events import Event
    from graphflow.run import Run
    from graphflow.runtime.executor import Executor


class Agent(AgentNode[In, Out], Generic[In, Out]):
    """A model in a loop with tools and sub-agents.

    Args:
        name: the agent's name.
        model: "provider:model" or a `Model`; default: the graph's, then the run's.
        input: the type of message it takes; default: whatever its edges bring.
        output: the type it answers with; `str` is free text, anything else is asked for by schema.
        prompt: template of the user's turn; default: the message itself, as text or JSON.
        prompt_file: a file that holds it, relative to the file that declares the agent.
        system: template of the standing instructions; or a function that writes them of what it names (`message`, `deps`, `ctx`),
            asked once an activation, and kept with the run; or several of both, with `CACHE` after what the provider shall keep in its
            prompt cache (as the first of them it stands after the tools).
        tools: what it may call: tools, steps, routers, graphs; nodes or names of nodes in the graph.
        sub_agents: agents or graphs it may delegate to, each in a frame of its own; `SubAgent(...)` tunes one.
        handoffs: whom it may hand the walk over to: nodes, names of nodes in the graph, or `Handoff(...)` to tune one.
        mcp: servers whose tools it may call, each an `MCP(...)`.
        recalls: what it is reminded by before it answers: nodes that take the text of the user's turn, above all
            `memory.recall_node` (`graphflow.memory`). Their answers stand fenced in that turn; the model cannot call them.
        examples: pairs of (message, answer) that are shown as earlier turns; small models need them.
        description: what it does, for those who may call it. Never the prompt.
        max_turns: model calls of one activation at most.
        max_parallel_calls: calls of one turn that run at the same time at most.
        repairs: how often an answer that is empty, or of the wrong type, is sent back.
        context: what its model is still shown when all that was said is too long for it: `Window()`, `HeadTail()`,
            `Summarise()`, or a function. Default: `Window()` where it is shown what was said before, else nothing is left out.
        remembers: what it is shown of what was said before. "talk": all earlier exchanges of the conversation; the default where
            the message of the graph reaches it unchanged. "own": what it has said itself at this place. "laps": the same, of
            this run only. "nothing": the default elsewhere.
        temperature, top_p, top_k, presence_penalty, frequency_penalty, seed: how the model samples.
        max_tokens: tokens of one answer at most. A text that is cut off there is taken as it is; without a limit of your
            own a cut text is an error.
        stop: texts at which it stops.
        tool_choice: for the first question of an activation: "auto", "none", "required" or the name of a tool.
        parallel_calls: whether it may ask for several calls at once.
        thinking: how much it reasons first: a budget in tokens, an effort ("low", "high"...), or on / off.
        prompt_cache: whether the provider shall cache the prompt as far as it can.
        extra: the provider's own parameters, as they are.
        retry, timeout_s, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).

    It stands in graphs, or runs alone, as the graph START >> agent >> END: `run = await agent.run("Hello")`. More than running it
    (conversations, forks, claims, pictures) is for that graph: `Graph("desk", START >> agent >> END)`.
    """

    if TYPE_CHECKING:  # what type checkers see; what is checked and kept stands below

        @overload
        def __init__(
            self: Agent[Any, str],
            name: str,
            *,
            input: None = ...,
            output: None = ...,
            **options: Unpack[AgentOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Agent[A, str],
            name: str,
            *,
            input: type[A],
            output: None = ...,
            **options: Unpack[AgentOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Agent[Any, B],
            name: str,
            *,
            input: None = ...,
            output: type[B],
            **options: Unpack[AgentOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Agent[A, B],
            name: str,
            *,
            input: type[A],
            output: type[B],
            **options: Unpack[AgentOptions],
        ) -> None: ...
        # A union is no `type[...]`: a type checker asks for an annotation, `judge: Agent[Draft, Yes | No] = Agent(...)`
        @overload
        def __init__(
            self,
            name: str,
            *,
            input: object = ...,
            output: object = ...,
            **options: Unpack[AgentOptions],
        ) -> None: ...
        def __init__(self, name: str, **options: Any) -> None: ...

    @cached_property
    def _alone(self) -> ProvenGraph[In, Out]:
        """The graph that it is alone. Not `solo`, which is a frame within a graph that has proven it: nobody has proven this."""
        # Errors name the line that declares the agent: no graph is written anywhere.
        place = "" if self.where is None else place_text(self.where)
        # Declared, else a graph asks for the type that nothing in front of the agent tells.
        path = START >> self >> END
        taken = self.ports[0].type
        return ProvenGraph(self.name, [path], input=taken, place=place)

    def twin(self, **changed: object) -> Self:
        """As of every node; what it is alone is made anew."""
        # A copy takes all along, and the graph of the other one would walk the other one.
        twin = super().twin(**changed)
        twin.__dict__.pop("_alone", None)
        return twin

    async def run(self, message: In | Mapping[str, Any], **options: Unpack[RunOptions]) -> Run[Out]:
        """Runs it alone, and returns the `Run` when it has completed.

        Args:
            message: what it is given; plain data is validated into its input type.
            options: deps, model, limits, store, conversation, ... as for `Graph.run`.

        Raises:
            GraphError: it cannot run alone: it names nodes of a graph (tools, handoffs), or untrusted content of one of its
                tools reaches another one that acts on the world.
            GraphflowError: what `Graph.run` raises.
        """
        return await _executor().run(self._alone, message, **options)

    async def resume(self, id: str, **options: Unpack[SittingOptions]) -> Run[Out]:
        """Goes on with a run of it alone that a store keeps, as `Graph.resume`.

        Raises:
            RunUnknown: there is no such run.
            RunOwned: somebody else is working on it.
            Diverged, Unreadable: its record does not fit the agent as it is now.
        """
        return await _executor().resume(self._alone, id, **options)

    def start(
        self,
        message: In | Mapping[str, Any],
        *,
        observed: bool = True,
        **options: Unpack[RunOptions],
    ) -> Run[Out]:
        """Starts it alone in the running event loop; iterate, await or `cancel()` the `Run` it returns.

        Args:
            message: what it is given, as for `run`.
            observed: whether somebody iterates the run while it goes. If nobody does, it is as fast as `run`.
            options: as for `run`.
        """
        return _executor().start(self._alone, message, observed=observed, **options)

    def stream(
        self, message: In | Mapping[str, Any], **options: Unpack[RunOptions]
    ) -> AsyncIterator[Event]:
        """Runs it alone, and yields every event; the last one is terminal. Leaving the loop early cancels the run.

        Raises: what `run` raises, after the terminal event.
        """
        from graphflow.run import followed

        return followed(partial(self.start, message, **options))

    def run_sync(self, message: In | Mapping[str, Any], **options: Unpack[RunOptions]) -> Run[Out]:
        """`run` for code that is not async. Inside a running loop it gets a loop and thread of its own.

        Warns:
            RuntimeWarning: it blocks a loop in which others wait.
        """
        from graphflow.sync import run_sync

        return run_sync(lambda: self.run(message, **options))


@cache
def _executor() -> Executor[Run[Any]]:
    """What runs agents, loaded when one runs first."""
    # Forgotten as soon as somebody begins to listen to runs: others run them then.
    from graphflow.run import Run
    from graphflow.runtime.listening import executor_of

    return executor_of(Run, _executor.cache_clear)
