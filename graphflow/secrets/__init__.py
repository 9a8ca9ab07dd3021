"""Secrets: what must not be seen, how it may be written, and where it stands in a text.

    pattern_reader   a regular expression becomes states, or is refused
    state_graph      values and patterns as one nondeterministic automaton
    automaton        the same, made deterministic state by state as texts come
    mask             a text without secrets, whole or piece by piece
    spellings        the ways in which a value may be written
    secret           one secret as code is given it: it shows its name and nothing else
    declared         `Secrets(...)`: what a user says is secret
    registry         the secrets that somebody has now
    opened           the same with its values, for one run

Rules:
1. What is masked is defined on the whole text: every occurrence of a value and every match of a pattern is a span, spans that
   touch are one, and each of these becomes one mark. So the pieces in which a text comes change nothing.
2. A character is held back only while it may still belong to a secret that is not certain yet.
3. The room is pure: it reads variables and files when secrets are opened, and writes nothing.
"""

from __future__ import annotations
