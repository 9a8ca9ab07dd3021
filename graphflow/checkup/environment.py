"""The environment: Python, the system, the encoding of texts, graphflow itself and what it stands on."""

from __future__ import annotations

import locale
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from graphflow._version import __version__
from graphflow.checkup.diagnosis import Diagnosis
from graphflow.checkup.distributions import DISTRIBUTION, missing_of, needed_by

_AREA = "environment"


def look_at_environment() -> Iterator[Diagnosis]:
    """Python, the system, graphflow."""
    version = platform.python_version()
    kind = platform.python_implementation()
    yield Diagnosis(_AREA, "Python", "ok", f"{kind} {version}, {sys.executable}")
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield Diagnosis(_AREA, "system", "ok", system)
    yield _encoding()
    package = Path(__file__).parents[1]
    yield Diagnosis(_AREA, "graphflow", "ok", f"{__version__}, {package}")
    yield _foundations()


def _encoding() -> Diagnosis:
    """Files and terminals without UTF-8 show what models write as escapes."""
    found = locale.getpreferredencoding(do_setlocale=False)
    name = found.upper().replace("-", "")
    if name == "UTF8":
        return Diagnosis(_AREA, "encoding", "ok", "UTF-8")
    return Diagnosis(
        _AREA,
        "encoding",
        "warning",
        f"texts are {found} here, so letters of other languages are shown as escapes",
        "export PYTHONUTF8=1",
    )


def _foundations() -> Diagnosis:
    """The packages that graphflow cannot do without."""
    needed = needed_by("")
    if needed is None:
        return Diagnosis(
            _AREA,
            "packages",
            "warning",
            f"{DISTRIBUTION} is not installed here, but found beside; what it needs cannot be looked up",
            "pip install -e . (in the checkout)",
        )
    # An upgrade of something else may have taken one away.
    missing = missing_of(needed)
    if not missing:
        return Diagnosis(_AREA, "packages", "ok", f"all {len(needed)} that graphflow needs")
    listed = ", ".join(missing)
    return Diagnosis(
        _AREA,
        "packages",
        "problem",
        f"missing or too old: {listed}",
        f"pip install -U {DISTRIBUTION}",
    )
