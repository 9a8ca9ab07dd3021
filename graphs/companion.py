"""Somebody to talk to who remembers what you said, on the smallest model there is.

A chat model that is shown its history goes wrong with it: of eight facts, SmolLM2 still tells five with two exchanges before
them, and none with eight. So this is a graph and no chat. A router hears what a line is. Statements go into a memory, word for
word. Questions ask that memory, code puts what it has found into the second person, and a writer that remembers nothing says
it as an answer. Code checks the sentence: what no note says is not said, and the note is told in its place.

    graphflow run companion "My cat is called Miso."
    graphflow run companion "What is my cat called?"

What was said stands in `companion.md`, in the folder where it runs, to be read and changed by hand.

To make it your own: `companion_with(memory)` takes any memory; a larger model may write more freely.
"""

from __future__ import annotations

from graphflow import (
    END,
    START,
    Agent,
    Before,
    Context,
    Failure,
    Graph,
    Limits,
    Message,
    Router,
    node,
)
from graphflow.memory import Memory, Recalled, Remembered, SemanticMemory
from nodes._support.grounding import verdicts
from nodes._support.person import to_you

LONGEST = 1_000
"""Characters of a question, and of a note, that the writer is shown: its model reads some 4,000 tokens."""


class Evidence(Message):
    """A question, and what was once said about it, in the second person."""

    question: str
    notes: tuple[str, ...]


class Unknown(Message):
    """A question to which nothing was found."""

    why: str = ""


# -- what a line is --------------------------------------------------------------------------------
sort_talk: Router[str, str] = Router(
    "sort_talk",
    input=str,
    prompt="{{ message[:500] }}",
    labels={
        "statement": "a person tells something about themselves, their plans, or others",
        "question": "a person asks for something that they told earlier",
        "chat": "a greeting, thanks, goodbye, or a word about the talk itself",
    },
    examples={
        "statement": [
            "My brother lives in Oslo.",
            "I am allergic to shellfish.",
            "We moved here three years ago.",
            "The meeting is on Thursday at ten.",
            "I bought a red bicycle yesterday.",
            "Her favourite colour is green.",
            "Remember that the spare key is under the pot.",
            "It was cold this morning.",
            "I feel much better today.",
        ],
        "question": [
            "Where does my brother live?",
            "What am I allergic to?",
            "When did we move here?",
            "When is the meeting?",
            "Which colour does she like best?",
            "Tell me where the spare key is.",
            "Do you remember what I bought?",
            "Who gave me the book?",
            "Tell me the name of my teacher.",
        ],
        "chat": [
            "Hello!",
            "Good morning, how are you?",
            "Thanks a lot.",
            "Goodbye, see you tomorrow.",
            "That was kind of you.",
            "Okay, fine.",
            "Ha ha, you are funny.",
        ],
    },
)

# -- questions -------------------------------------------------------------------------------------
writer = Agent(
    "writer",
    input=Evidence,
    system="Answer the question in one short sentence. Use only the note.",
    prompt="Question: {{ question }}\nNote: {{ notes[0] }}",
    examples=[
        (
            Evidence(
                question="Where does my brother live?", notes=("Your brother lives in Oslo.",)
            ),
            "Your brother lives in Oslo.",
        ),
        (
            Evidence(
                question="What did I buy yesterday?",
                notes=("You bought a red bicycle yesterday, and a lock.",),
            ),
            "You bought a red bicycle yesterday, and a lock.",
        ),
        (
            Evidence(question="Who is coming on Sunday?", notes=("Ruth and Ben come on Sunday.",)),
            "Ruth and Ben come on Sunday.",
        ),
        (
            Evidence(question="Am I allergic to nuts?", notes=("You are allergic to nuts.",)),
            "Yes, you are allergic to nuts.",
        ),
    ],
    max_tokens=64,
    stop=["\n"],
    description="Says a note as the answer to a question.",
)


@node
async def read_notes(recalled: Recalled) -> Evidence | Unknown:
    """What the memory has found, as it is said to the one who said it."""
    if not recalled.notes:
        return Unknown(why=recalled.failed)
    # Code turns "my" into "your": a model of this size does so when it likes.
    notes = tuple(to_you(note.text[:LONGEST]) for note in recalled.notes)
    return Evidence(question=recalled.query[:LONGEST], notes=notes)


@node(calls=[writer])
async def answer(evidence: Evidence, ctx: Context) -> str:
    """The writer's sentence if the notes say it, else the nearest note."""
    said = await ctx.call(writer, evidence)
    # It rounds times, adds a reason, makes up a name: what holds is a note retold.
    held = [verdict for verdict in verdicts(said, evidence.notes) if verdict.holds]
    if held:
        return held[0].sentence
    return f"You told me: {evidence.notes[0]}"


@node
async def admit(unknown: Unknown) -> str:
    """Says that there is nothing, or that the memory cannot be asked."""
    if unknown.why:
        return f"I cannot look that up now: {unknown.why}"
    return "You have not told me anything yet."


# -- statements and the rest -----------------------------------------------------------------------
@node
async def acknowledge(kept: Remembered) -> str:
    """Says what became of a statement."""
    if kept.failed:
        return f"I could not keep that: {kept.failed}"
    return "I will remember that."


@node
async def refuse(failure: Failure) -> str:
    """Says why a statement is none that can be kept."""
    return f"I cannot keep that: {failure.error}"


@node
async def chat(line: str) -> str:
    """A reply to what is neither told nor asked."""
    return "I am here. Tell me something, or ask me about what you told me."


def companion_with(memory: Memory) -> Graph[str, str]:
    """The graph, with a memory of your choice."""
    return Graph(
        "companion",
        START >> sort_talk,
        sort_talk["statement"] >> memory.remember_node >> acknowledge >> END,
        memory.remember_node[Failure] >> refuse >> END,
        sort_talk["question"] >> memory.recall_node >> read_notes,
        read_notes[Evidence] >> answer >> END,
        read_notes[Unknown] >> admit >> END,
        sort_talk["chat"] >> chat >> END,
        claims=[Before(memory.recall_node.name, "answer")],
        model="local:smollm2",
        limits=Limits(depth=1, steps=20, model_calls=4, seconds=120),
        description="Remembers what you tell it, and answers questions about it.",
    )


companion = companion_with(SemanticMemory(at="companion.md", on_error="skip"))
