"""What of an answer was said before the run was stopped: it was paid for, and may be what somebody wanted to know."""

from __future__ import annotations

from graphflow.cli.show import AnyRun
from graphflow.events import ModelFinished, NodeCancelled, NodeFailed, NodeFinished
from graphflow.redaction import scrub
from graphflow.runtime.speakers import ActivationId, Speakers


def partial_answer(run: AnyRun) -> str:
    """The last words of those nodes that were stopped, and whose words would have become the answer; "" if there are none."""
    speakers = Speakers(run)
    texts: dict[ActivationId, str] = {}
    stopped: dict[ActivationId, str] = {}
    for event in run.events:
        speakers.take(event)
        match event:
            # What was broken off is told like a whole answer, as far as it came.
            case ModelFinished() if speakers.may_answer(event):
                texts[event.frame, event.activation] = event.text
            case NodeFinished():
                texts.pop((event.frame, event.activation), None)
            case NodeFailed() | NodeCancelled():
                place = (event.frame, event.activation)
                stopped[place] = texts.pop(place, "")
            case _:
                pass
    # One that never got to an end of its own was stopped, too.
    words = filter(None, (stopped | texts).values())
    return scrub("\n\n".join(words))
