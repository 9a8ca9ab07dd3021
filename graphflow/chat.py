"""A chat: one conversation of a graph, as a person has it.

chat = graph.chat("user:42", store="sqlite:chats.db")
run = await chat.say("I am Anna.")
run = await chat.say("Who am I?")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, Unpack

from graphflow.declaration.arrows import In, Out
from graphflow.display import Displayed
from graphflow.errors import ConversationUnreadable, DeclarationError, QuestionUnknown
from graphflow.events import Event
from graphflow.journal.exchange_codec import Exchange as Exchange
from graphflow.journal.question import Question
from graphflow.journal.store import Store
from graphflow.proofs.proven import ProvenGraph
from graphflow.run import Run, followed
from graphflow.runtime.authors import listeners
from graphflow.runtime.conversing import Conversing, ForgottenRun
from graphflow.runtime.executor import Executor, Make
from graphflow.runtime.keeping import checked_key, opened
from graphflow.runtime.listening import executor_of
from graphflow.runtime.options import ForkOptions, SayOptions

if TYPE_CHECKING:
    from graphflow.journal.stored import RunHeader
    from graphflow.kinds.compacted import Compacted

ExportForm: TypeAlias = Literal["markdown", "jsonl"]


class Chat(Displayed, Generic[In, Out]):
    """One conversation of a graph.

    Attributes:
        graph: whose it is.
        key: what its users call it.
        store: where it is kept.
    """

    def __init__(
        self,
        graph: ProvenGraph[In, Out],
        key: str,
        store: Store | str | None = None,
        **options: Unpack[ForkOptions],
    ) -> None:
        whose = f"the chat of {graph.name!r}"
        self.graph = graph
        self.key = checked_key(key, whose)
        self.store = opened("memory:" if store is None else store, whose)
        self._options = options
        self.make: Make[Run[Out]] = Run
        """Makes the record of each run; a runtime makes one that it counts."""
        self._kept = Conversing(self.store, graph, self.key)

    @property
    def _executor(self) -> Executor[Run[Out]]:
        """What runs its graph, as things stand: somebody may listen by now."""
        return executor_of(self.make, _nothing)

    def __repr__(self) -> str:
        return f"<chat {self.key!r} with {self.graph.name!r}>"

    # -- talking -----------------------------------------------------------------------------------
    async def say(
        self, message: In | Mapping[str, object], **options: Unpack[SayOptions]
    ) -> Run[Out]:
        """Says something, and waits for the answer.

        Args:
            message: what the graph takes.
            options: as for `Graph.run`, above all `id` and `busy`; they go before those of the chat.

        Returns:
            The run: when it has completed, its exchange is kept; when it waits, `answer` lets it go on.

        Raises:
            ConversationBusy: somebody else has the conversation, and `busy="refuse"` was given.
            ConversationMoved: somebody else has gone on with it, as this process was away for too long.
        """
        given = self._run_options(options)
        return await self._executor.run(self.graph, message, **given)

    def stream(
        self, message: In | Mapping[str, object], **options: Unpack[SayOptions]
    ) -> AsyncIterator[Event]:
        """Says something, and yields every event on the way to the answer; the last one is terminal.

        Leaving the loop early cancels the run: nothing of it is kept.

        Raises: what `say` raises, after the terminal event.
        """
        return followed(partial(self.start, message, **options))

    def start(self, message: In | Mapping[str, object], **options: Unpack[SayOptions]) -> Run[Out]:
        """Says something, and gives the run that is on its way to the answer: iterate, await or cancel it."""
        given = self._run_options(options)
        return self._executor.start(self.graph, message, **given)

    def _run_options(self, options: SayOptions) -> dict[str, Any]:
        return {
            **self._options,
            **options,
            "store": self.store,
            "conversation": self.key,
        }

    async def waiting(self) -> Run[Out] | None:
        """The run of it that waits for answers; None: none does."""
        waiting = await self._kept.waiting_run()
        if waiting is None:
            return None
        header, _ = waiting
        run: Run[Out] = await self.store.load(header.id, self.graph)
        return run

    async def pending(self) -> list[Question]:
        """What a run of it waits for: questions to people, to the clock, to other programs."""
        run = await self.waiting()
        return [] if run is None else run.pending

    async def answer(
        self,
        value: object,
        *,
        question: str = "",
        arm: str = "",
        by: str = "",
        **options: Unpack[ForkOptions],
    ) -> Run[Out]:
        """Answers a question that its run waits for, and lets that go on.

        Args:
            value: the answer.
            question: its id, or the name of the node that asks; not needed where only one is open.
            arm: of a union, the name of the class that plain data is meant for, where it fits several.
            by: who answers, for the record.
            options: as for `Graph.resume`.

        Raises:
            QuestionUnknown: no such question is open, or several are.
            AnswerInvalid: the answer does not fit; the question is still open.
        """
        header, asked = await self._asked(question)
        await self.store.answer(header.id, asked, value, arm=arm, by=by)
        return await self._go_on(header.id, options)

    async def go_on(self, **options: Unpack[ForkOptions]) -> Run[Out]:
        """Goes on with the run that waits, if what it waits for has come: an answer from elsewhere, a time.

        Raises:
            QuestionUnknown: none waits.
        """
        header, _ = await self._waiting()
        return await self._go_on(header.id, options)

    async def _go_on(self, run: str, options: ForkOptions) -> Run[Out]:
        given = {**self._options, **options}
        return await self._executor.resume(self.graph, run, store=self.store, **given)

    async def _waiting(self) -> tuple[RunHeader, list[str]]:
        """The run that waits, and the questions that are open."""
        waiting = await self._kept.waiting_run()
        if waiting is None:
            raise QuestionUnknown(f"{self!r} waits for no answer")
        header, asked = waiting
        return header, [each.question for each in asked]

    async def _asked(self, question: str) -> tuple[RunHeader, str]:
        """The run that waits, and the question that is meant."""
        header, open = await self._waiting()
        if question:
            return header, question  # whether it is open is seen by who takes the answer
        if len(open) != 1:
            listed = ", ".join(map(repr, open))
            raise QuestionUnknown(f"{self!r} waits for {len(open)} answers; say which: {listed}")
        return header, open[0]

    async def drop(self) -> bool:
        """Stops the run that has the conversation, or waits; it adds nothing. Whether there was one."""
        return await self._kept.drop()

    # -- what was said -----------------------------------------------------------------------------
    async def history(self) -> list[Exchange]:
        """What was said so far, exchange by exchange; what cannot be read is left out."""
        return await self._kept.exchanges()

    async def problems(self) -> list[ConversationUnreadable]:
        """What is wrong with those exchanges that cannot be read; they stay where they are, and are shown to nobody."""
        return await self._kept.problems()

    async def undo(self, count: int = 1) -> list[Exchange]:
        """Withdraws the last exchanges, and has memories of the graph forget what was remembered in them.

        Their ids are used up: `say` with one of them raises `RunExists`.

        Returns:
            Those that were withdrawn and can be read, in order.

        Raises:
            ConversationBusy: a run has the conversation.
            ConversationUnknown: nothing was ever said in it.
            DeclarationError: so many were not said.
            MemoryUnavailable: they are withdrawn, and a memory could not be asked to forget.
        """
        if type(count) is not int:
            raise DeclarationError(
                f"undo({count!r}): give a number of exchanges, from 1 to that of all"
            )
        withdrawn = await self._kept.undo(count, self._forget_notes)
        return self._kept.readable(withdrawn)

    async def _forget_notes(self, runs: Sequence[ForgottenRun]) -> None:
        """Has memories of the graph forget what was remembered in some runs."""
        # Memories are loaded by whoever has some, and here by who withdraws something.
        from graphflow.memory.derived_notes import forget_exchanges

        for key, run in runs:
            await forget_exchanges(self.graph, key, [run])

    async def compact(self, keep: int = 1) -> Compacted:
        """Shows agents no more than the last exchanges from now on, and of those before what their context policies keep.

        That are pins, the first exchanges (`HeadTail`), and with `Summarise` a summary, which a model makes as part of the next
        run. Nothing is deleted: `history`, `export` and `undo` have all of it.

        Args:
            keep: how many exchanges are still shown as they are, the last ones; 0 for none.

        Raises:
            ConversationBusy: a run has the conversation, or waits for answers.
            ConversationUnknown: nothing was ever said in it.
        """
        from graphflow.kinds.compacted import compacted_by

        if type(keep) is not int or keep < 0:
            raise DeclarationError(f"compact({keep!r}): give a number of exchanges to keep, from 0")
        done = await self._kept.compact(keep)
        return compacted_by(done.exchanges, done.before, done.cutoff, listeners(self.graph))

    def _under(self, key: str) -> Chat[In, Out]:
        """The chat of another key.

        Raises:
            SecretInvalid: the key holds a secret.
        """
        secrets = self._options.get("secrets")
        if secrets is not None or self.graph.secrets_below:
            from graphflow.runtime.hidden import check_name, open_secrets

            opened_secrets = open_secrets(self.graph, secrets)
            check_name(opened_secrets, self.graph.name, "conversation", key)
        return Chat(self.graph, key, self.store, **self._options)

    async def fork(self, key: str, *, at: int | None = None) -> Chat[In, Out]:
        """A copy under another key, which goes on by itself.

        Args:
            key: what the copy is called.
            at: the number of the last exchange that it has; default: all of them.

        Raises:
            ConversationExists: there is one of that key.
            ConversationUnknown: nothing was ever said in it.
        """
        copy = self._under(key)
        await self._kept.copy_to(copy.key, at)
        return copy

    async def rename(self, key: str) -> Chat[In, Out]:
        """Gives it another key; the chat under that.

        Raises:
            ConversationBusy: a run has the conversation.
            ConversationExists: there is one of that key.
        """
        renamed = self._under(key)
        await self._kept.rename(renamed.key)
        return renamed

    async def export(self, form: ExportForm = "markdown") -> str:
        """What was said as text.

        Args:
            form: "markdown", for people; or "jsonl", a line of JSON for each exchange.
        """
        # Pictures and texts are loaded when somebody wants one.
        from graphflow.render.chats import chat_jsonl, chat_markdown

        forms = {
            "markdown": chat_markdown,
            "jsonl": chat_jsonl,
        }
        if form not in forms:
            raise DeclarationError(f"export({form!r}): it is 'markdown' or 'jsonl'")
        exchanges = await self.history()
        return forms[form](self.key, exchanges)

    async def forget(self) -> int:
        """Erases it: its exchanges, its key, the journals of its runs, and what the store has of them in free pages.

        PostgreSQL without a key is the exception: free pages keep their bytes until its tables are written anew
        (`docs/encryption.md`, "Erasing").

        Memories of the graph forget what was remembered in it, also under the keys that it had before.

        Returns:
            How many runs were removed.

        Raises:
            ConversationBusy: a run has the conversation.
            ConversationUnknown: nothing was ever said in it.
            MemoryUnavailable: it is erased, and a memory could not be asked to forget.
        """
        removed = await self._kept.forget(self._forget_all_notes)
        return len(removed)

    async def _forget_all_notes(self, runs: Sequence[ForgottenRun]) -> None:
        """The same for all that was remembered in it, and in its runs under former keys."""
        from graphflow.memory.derived_notes import forget_conversation

        await forget_conversation(self.graph, self.key)
        former = [(key, run) for key, run in runs if key != self.key]
        await self._forget_notes(former)


def _nothing() -> None:
    """A chat keeps no executor, so there is none to forget."""
