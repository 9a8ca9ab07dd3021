"""Has the writer make a sentence of a fact, and again if the sentence was rejected."""

from __future__ import annotations

from graphflow import Context, node

from ..agents.writer import WriteRequest, writer
from ..messages import Draft, Fact, Rejected


@node(calls=[writer])
async def compose(work: Fact | Rejected, ctx: Context) -> Draft:
    """A draft; the second time the writer is asked to stay with the fact."""
    fact = work if isinstance(work, Fact) else work.draft.fact
    again = not isinstance(work, Fact)
    request = WriteRequest(question=fact.mail.text, fact=fact.text, again=again)
    sentence = await ctx.call(writer, request)
    return Draft(fact=fact, sentence=sentence.strip().strip('"'))
