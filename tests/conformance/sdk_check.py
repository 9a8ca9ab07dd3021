"""Which official SDK speaks for which wire format, and what its request types say of a body of ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import to_json

from tests.conformance.sdk_schema import Strict, lacking, told

SPARED = frozenset({"FileData.mime_type"})
"""What google-genai describes as required (Vertex wants it) and ai.google.dev/api/caching#FileData as optional."""
SAMPLING = {"temperature": float, "top_p": float, "top_k": int}
"""What anthropic left out in 1.0 (its 2.0 speaks API version 2026-10-21): the version that we speak, 2023-06-01, takes it."""
TypesOf = Callable[[], tuple[Any, Any]]
PROBLEMS: dict[str, Callable[[bytes, bool], list[str]]] = {}
"""By wire format: what is wrong with a body, given whether it is to stream; imports the SDK when it is called."""


def problems(wire: str, body: dict[str, Any], stream: bool = True) -> list[str]:
    """What the SDK's request types find wrong with a body, as it would be sent."""
    return PROBLEMS[wire](to_json(body), stream)


def _for(wire: str, more: dict[str, Any] | None = None) -> Callable[[TypesOf], TypesOf]:
    """Registers the types of a wire format: of a streaming request and of one that is answered whole."""

    def register(types_of: TypesOf) -> TypesOf:
        @cache
        def validators() -> tuple[Strict, Strict]:
            # What an SDK says of Python's version is not our concern.
            with warnings.catch_warnings(action="ignore"):
                streaming, whole = types_of()
            return Strict(streaming, more), Strict(whole, more)

        PROBLEMS[wire] = lambda text, stream: validators()[0 if stream else 1].problems(text)
        return types_of

    return register


@_for("openai-chat")
def _chat() -> tuple[Any, Any]:
    from openai.types.chat import completion_create_params as params

    return params.CompletionCreateParamsStreaming, params.CompletionCreateParamsNonStreaming


@_for("openai-responses")
def _responses() -> tuple[Any, Any]:
    from openai.types.responses import response_create_params as params

    return params.ResponseCreateParamsStreaming, params.ResponseCreateParamsNonStreaming


@_for("anthropic", SAMPLING)
def anthropic_types() -> tuple[Any, Any]:
    from anthropic.types import message_create_params as params

    return params.MessageCreateParamsStreaming, params.MessageCreateParamsNonStreaming


@cache
def _gemini() -> type[BaseModel]:
    """A generateContent body: google-genai types its parts, and puts them together in code."""
    with warnings.catch_warnings(action="ignore"):
        from google.genai import types

    return create_model(
        "GenerateContentRequest",
        __config__=ConfigDict(extra="forbid"),
        contents=(list[types.Content], ...),
        systemInstruction=(types.Content | None, None),
        tools=(list[types.Tool] | None, None),
        toolConfig=(types.ToolConfig | None, None),
        safetySettings=(list[types.SafetySetting] | None, None),
        generationConfig=(types.GenerationConfig | None, None),
        cachedContent=(str | None, None),
    )


def _gemini_problems(text: bytes, stream: bool) -> list[str]:
    kind = _gemini()
    try:
        # What it says of an unknown word.
        with warnings.catch_warnings(action="error", category=UserWarning):
            body = kind.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        return told(error)
    except UserWarning as warning:
        return [str(warning)]
    return lacking(body, SPARED)


PROBLEMS["gemini"] = _gemini_problems
