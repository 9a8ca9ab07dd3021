"""What memories answer with, which models of every room may read: it stands in `graphflow.messages.notes`."""

from __future__ import annotations

from graphflow.messages.notes import Note as Note
from graphflow.messages.notes import Recalled as Recalled
from graphflow.messages.notes import Remembered as Remembered
from graphflow.messages.notes import fenced as fenced
