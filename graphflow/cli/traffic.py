"""The traffic between a run and its models: written down (`--record`), or played back (`--replay`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphflow.cli.printing import note
from graphflow.errors import InputInvalid
from graphflow.proofs.report import counted
from graphflow.providers.recording import recorded, replayed
from graphflow.runtime.options import ForkOptions


@contextmanager
def traffic(options: ForkOptions, record: Path | None, replay: Path | None) -> Iterator[None]:
    """Has a run recorded, or its models replaced by a recording.

    Args:
        options: of the run.
        record: where to write what its models say.
        replay: where it was written.

    Raises:
        InputInvalid: both are wanted.
        FileUnreadable: there is no such recording, or no folder for a new one.
    """
    if record is not None and replay is not None:
        raise InputInvalid(
            "--record and --replay: a recording answers in place of the models; give one of them"
        )
    if replay is not None:
        # Nodes that name no model need one all the same, by name.
        options["model"] = options.get("model") or f"replay:{replay}"
        with replayed(replay):
            yield
        return
    if record is None:
        yield
        return
    # A walk costs money, and this would only be seen at its first answer.
    if not record.parent.is_dir():
        raise InputInvalid(f"--record {record}: there is no folder {record.parent}")
    with recorded(record) as file:
        try:
            yield
        finally:
            note(_written(record, file.answers))


def _written(file: Path, answers: int) -> str:
    if not answers:
        return f"no model was asked, so nothing was written to {file}"
    return f"wrote {counted(answers, 'answer')} of models to {file}; `--replay {file}` gives them again"
