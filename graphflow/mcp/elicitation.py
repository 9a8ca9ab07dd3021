"""Questions that a server asks a person before it answers a call.

Source: https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from graphflow.declaration.context import Context
from graphflow.declaration.inquiry import Inquiry
from graphflow.mcp.schema import problems_of
from graphflow.messages.message import Message, error_text
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from mcp.client.session import ClientRequestContext, ElicitationFnT
    from mcp_types import ElicitRequestParams, ElicitResult, ErrorData

FormAnswer = dict[str, Any] | bool | None
Ask = Callable[[str, "Elicitation"], Awaitable[FormAnswer]]
"""Asks a person: the server's name, and the question. A dict = the answers, True = yes, False = no, None = never mind."""


class Elicitation(Message):
    """A question of a server.

    Attributes:
        server: its name in the graph.
        message: what it wants to know.
        fields: JSON schema of the answers it expects; empty if it only wants an address to be visited.
        url: the address, or "".
    """

    server: str
    message: str
    fields: dict[str, Any] = {}
    url: str = ""


def question_of(ctx: Context) -> Ask:
    """What a server asks during a call, as a question that the run waits with.

    While it waits the call is cut off. When the run goes on it is made again, under the same key, and what the server asks
    then is answered at once.
    """

    async def ask(name: str, question: Elicitation) -> FormAnswer:
        schema = {"type": "boolean"} if question.url else question.fields

        def check(answer: object) -> None:
            problems = problems_of(schema, answer) if isinstance(answer, dict) else []
            if problems:
                raise ValueError(problems[0])

        inquiry = Inquiry("elicitation", question, FormAnswer, schema=schema, check=check)
        answer: FormAnswer = await ctx.frame.ask(ctx, inquiry)
        return answer

    return ask


def asker(server: str, ask: Ask) -> ElicitationFnT:
    """What the SDK calls when the server of that name asks; `ask` reaches the person."""
    from mcp_types import INTERNAL_ERROR, ElicitResult, ErrorData

    async def ask_person(
        context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult | ErrorData:
        schema = getattr(params, "requested_schema", None) or {}
        url = getattr(params, "url", "") or ""
        question = Elicitation(server=server, message=params.message, fields=schema, url=url)
        try:
            answer = await ask(server, question)
        except Exception as error:
            reason = f"nobody could be asked: {type(error).__name__}: {error_text(error)}"
            return ErrorData(code=INTERNAL_ERROR, message=scrub(reason))
        if answer is None:
            return ElicitResult(action="cancel")
        if answer is False:
            return ElicitResult(action="decline")
        # What a person typed is checked here, so that the server is never sent what it did not ask for.
        content = {} if answer is True else dict(answer)
        try:
            problems = problems_of(schema, content)
        except ValueError as error:
            problems = [f"the schema that it was asked by: {error}"]
        if problems:
            return ErrorData(code=INTERNAL_ERROR, message=f"the answer does not fit: {problems[0]}")
        return ElicitResult(action="accept", content=None if url else content)

    return ask_person
