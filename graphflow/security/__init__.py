"""What protects a graph: secrets that nobody sees, untrusted content that is followed, guards that reject.

    Secrets         what must not be seen, for a run: `graph.run(message, secrets=Secrets({...}))`
    Secret          one of them, as code is given it: `ctx.secret("name")`

    Untrusted       Untrusted[str] is a text that came from outside; the build follows it to what acts on the world
    checked         a node whose answer has been checked, whatever it was made of

    guarded(agent, before=[Length(2_000)], after=[PersonalData()])

    Length          texts that are too long, or too short
    PersonalData    addresses, numbers of cards, accounts and telephones, found by their patterns
    JsonShape       texts that are not JSON of a type
    Expression      messages for which an expression does not hold
    Language        texts in another language
    Topic           messages that a model does not find to be about something
    Similarity      messages that are not near to any example, or too near to one

A guard of your own is a function of the message (only True lets it pass), or a subclass of `Guard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow._faces import face

if TYPE_CHECKING:
    from graphflow.declaration.guards import Guard as Guard
    from graphflow.declaration.guards import StreamJudge as StreamJudge
    from graphflow.errors import GuardRejected as GuardRejected
    from graphflow.messages.untrusted import Untrusted as Untrusted
    from graphflow.secrets.declared import Secrets as Secrets
    from graphflow.secrets.secret import Secret as Secret
    from graphflow.security.expression import Expression as Expression
    from graphflow.security.guarded_node import checked as checked
    from graphflow.security.guarded_node import guarded as guarded
    from graphflow.security.json_shape import JsonShape as JsonShape
    from graphflow.security.language import Language as Language
    from graphflow.security.length import Length as Length
    from graphflow.security.personal_data import PersonalData as PersonalData
    from graphflow.security.similarity import Similarity as Similarity
    from graphflow.security.topic import Topic as Topic

__getattr__ = face(
    "graphflow.security",
    [
        "vocabulary",
        "guarded_node",
        "length",
        "personal_data",
        "json_shape",
        "expression",
        "language",
        "topic",
        "similarity",
    ],
)
