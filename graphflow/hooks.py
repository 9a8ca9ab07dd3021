"""Hooks: functions, or nodes, that change what a node is given and answers, and what its model is asked and says.

    from graphflow.hooks import hooked

    tidy_search = hooked(search, before=[without_names], after=[shortened])
    terse = hooked(clerk, before_model=[with_the_date], after_model=[without_smalltalk])

What a hook of a model gets stands in `graphflow.model`: a `Request`, a `Reply`.
"""

from __future__ import annotations

from graphflow.declaration.hooks import Hook as Hook
from graphflow.declaration.hooks import Hooks as Hooks
from graphflow.kinds.hooked import hooked as hooked
