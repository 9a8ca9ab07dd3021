"""What a graph declares secret, in a file: where it is found, never what it is.

secrets:
  env: [STRIPE_KEY]                    # or {stripe: STRIPE_KEY}, to call it otherwise
  files: [/run/secrets/db_password]
  patterns: {card: "[0-9]{16}"}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from graphflow.errors import FileUnreadable
from graphflow.proofs.proven import AnyGraph
from graphflow.secrets.declared import PATTERN_NAME, Secrets

Named: TypeAlias = dict[str, str] | list[str]
"""What has a name, or is called after itself."""


def read_secrets(declared: Mapping[str, Named]) -> Secrets:
    """What a file declares secret.

    Raises:
        SecretInvalid: a name or a pattern cannot be used.
    """
    nothing: Named = []
    env = declared.get("env", nothing)
    files = declared.get("files", nothing)
    patterns = declared.get("patterns", nothing)
    return Secrets(env=env, files=files, patterns=patterns)


def secrets_of(graph: AnyGraph) -> dict[str, dict[str, Named]]:
    """What a graph declares secret, as a file has it; nothing if it declares nothing.

    Raises:
        FileUnreadable: it was given values, which a file must not hold.
    """
    secrets = graph.secrets
    if secrets is None:
        return {}
    if secrets.has_values:
        raise FileUnreadable(
            f"graph {graph.name!r} holds values of secrets, which a file must not; "
            "give them by Secrets(env=[...]) or Secrets(files=[...])"
        )
    words: dict[str, Named] = {}
    if secrets.env:
        words["env"] = _texts(secrets.env)
    if secrets.files:
        words["files"] = _texts(secrets.files)
    if secrets.patterns:
        words["patterns"] = _patterns(secrets)
    return {"secrets": words}


def _texts(named: Mapping[str, str | Path]) -> Named:
    texts: dict[str, str] = {}
    for name, place in named.items():
        texts[name] = str(place)
    return texts


def _patterns(secrets: Secrets) -> Named:
    without_name: list[str] = []
    for name, pattern in secrets.patterns:
        if name == PATTERN_NAME:
            without_name.append(pattern)
    # Several may have been given without a name; a mapping would keep the last one only.
    if len(without_name) == len(secrets.patterns):
        return without_name
    return dict(secrets.patterns)
