"""What is wrong with a declaration, a graph or a prompt: found before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.errors.root import GraphflowError


class DeclarationError(GraphflowError, TypeError):
    """A node or an arrow was declared in a way that cannot mean anything."""

    retryable = False


class PortUnavailable(DeclarationError):
    """A sink is to serve numbers at a port, and cannot: somebody else does, or this user may not."""


class GraphError(GraphflowError, ValueError):
    """A graph is unsound. All problems found are in `problems`, one text each."""

    retryable = False

    def __init__(self, graph: str, problems: Sequence[str], where: str = "") -> None:
        self.graph = graph
        self.problems = tuple(problems)
        lines = [self._headline(where)]
        for number, problem in enumerate(self.problems, 1):
            line = f"  {number}. {problem}"
            lines.append(line)
        text = "\n".join(lines)
        super().__init__(text)

    def _headline(self, where: str) -> str:
        count = len(self.problems)
        word = "problems"
        if count == 1:
            word = "problem"
        place = ""
        if where:
            place = f" ({where})"
        return f"graph {self.graph!r} has {count} {word}{place}:"


class PromptError(GraphflowError, ValueError):
    """A prompt template does not parse, or names a field that its message does not have."""

    retryable = False
