"""Requests made by hand that together use every field, turn, part and medium there is, and who cannot say which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from graphflow.kinds.output import output_schema
from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import (
    CACHE,
    AssistantTurn,
    Block,
    CacheMark,
    Part,
    TextPart,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    UserTurn,
)
from graphflow.providers.endpoints import ENDPOINTS, Endpoint
from graphflow.providers.structured_output import as_tool, as_words, fit
from graphflow.providers.wires.json_object import Json
from graphflow.providers.wires.wire import render_request

TARGETS: dict[str, tuple[Endpoint, str]] = {
    "openai-chat": (ENDPOINTS["openai"], "gpt-5.1"),
    "openai-responses": (ENDPOINTS["openai-responses"], "gpt-5.1"),
    "anthropic": (ENDPOINTS["anthropic"], "claude-sonnet-4-5"),
    "gemini": (ENDPOINTS["google"], "gemini-3-pro"),
}
"""By wire format: an endpoint that speaks it, and a model there."""


# -- structured output -----------------------------------------------------------------------------
class City(BaseModel):
    """A city."""

    kind: Literal["city"] = "city"
    name: str = Field(min_length=1, max_length=80, description="its name")
    people: int | None = Field(None, ge=0)
    twins: list[City] = []


class Nothing(BaseModel):
    kind: Literal["nothing"] = "nothing"
    why: str


class Notes(BaseModel):
    by_key: dict[str, int]


SHAPES: dict[str, Any] = {
    "model": City,
    "union": City | Nothing,
    "tagged": Annotated[City | Nothing, Field(discriminator="kind")],
    "list": list[Nothing],
    "number": float,
    "words": Literal["yes", "no"],
    "optional": City | None,
    "open": Notes,
}


def asked(shape: str) -> Json:
    schema, _ = output_schema(SHAPES[shape])
    assert schema is not None
    return schema


# -- the pieces ------------------------------------------------------------------------------------
def tool(name: str, about: str = "About.", strict: bool | None = None) -> ToolSpec:
    properties = {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return ToolSpec(name, about, schema, strict)


MIMES = {
    "image": "image/png",
    "audio": "audio/wav",
    "video": "video/mp4",
    "document": "application/pdf",
}
MEDIA: dict[str, Media] = {
    **{f"{kind}-url": Media(kind=kind, url=f"https://a.example/{kind}") for kind in MIMES},  # type: ignore[arg-type]
    **{
        f"{kind}-file": Media(kind=kind, file_id="file-1", mime=mime)
        for kind, mime in MIMES.items()
    },  # type: ignore[arg-type]
    **{
        f"{kind}-data": Media(kind=kind, data=b"\xfb\xff\x00", mime=mime)
        for kind, mime in MIMES.items()
    },  # type: ignore[arg-type]
    "image-low": Media(url="https://a.example/p.jpg", detail="low", mime="image/jpeg"),
    "image-high": Media(data=b"GIF89a", detail="high", mime="image/gif", name="p.gif"),
    "image-webp": Media(data=b"RIFF", mime="image/webp"),
    "audio-mp3": Media(kind="audio", data=b"ID3", mime="audio/mpeg"),
    "audio-flac": Media(kind="audio", data=b"fLaC", mime="audio/flac"),
    "document-named": Media(
        kind="document", data=b"%PDF-1.7", mime="application/pdf", name="a.pdf"
    ),
    "document-text": Media(
        kind="document", data="Blåbær".encode(), mime="text/plain", name="a.txt"
    ),
    "document-word": Media(
        kind="document",
        data=b"PK",
        mime="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    "image-tiff": Media(data=b"II*", mime="image/tiff"),
}
CALLS = (
    ToolCall("call_1", "weather", '{"city": "Oslo", "days": 2}'),
    ToolCall("call_2", "weather", '{"city": "Atlantis", "days": 1}'),
    ToolCall("gf_3", "now", ""),
    ToolCall("call_4", "weather", '{"city": "Os'),
)
RESULTS = (
    ToolResult("call_1", "weather", '{"rain": true}'),
    ToolResult("call_2", "weather", "no such city", ok=False),
    ToolResult("gf_3", "now", ""),
    ToolResult("call_4", "weather", "[1, 2]"),
)
FOREIGN = AssistantTurn(
    "Hm.",
    parts=(Thinking("So...", {"blob": "x"}), TextPart("Hm."), Block({"item": {"odd": 1}})),
    wire="?",
)


def own(
    wire: str, thought: dict[str, Any], said: dict[str, Any], call: dict[str, Any], *blocks: Json
) -> AssistantTurn:
    """A turn with everything that its wire format wants back."""
    called = replace(CALLS[0], keep=call)
    kept = (Block({"name": "tool", "item": block}) for block in blocks)
    parts: tuple[Part, ...] = (
        Thinking("Rain?", thought),
        *kept,
        TextPart("Let me look.", said),
        called,
    )
    return AssistantTurn("Let me look.", (called,), parts, wire)


SEARCH = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": "rain"},
}
FOUND = {
    "type": "web_search_result",
    "encrypted_content": "x",
    "page_age": None,
    "title": "T",
    "url": "https://a.example",
}
CITED = {
    "type": "web_search_result_location",
    "cited_text": "Rain.",
    "encrypted_index": "x",
    "title": "T",
    "url": "https://a.example",
}
OWN: dict[str, AssistantTurn] = {
    "openai-chat": own("openai-chat", {}, {}, {"made_id": True}),
    "groq": own("groq", {}, {}, {}),
    "openai-responses": own(
        "openai-responses",
        {
            "id": "rs_1",
            "encrypted_content": "x",
            "summary": [{"type": "summary_text", "text": "Rain?"}],
        },
        {"id": "msg_1", "phase": "commentary"},
        {"id": "fc_1"},
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "rain"},
        },
    ),
    "anthropic": own(
        "anthropic",
        {"signature": "x"},
        {"citations": [CITED]},
        {},
        SEARCH,
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [FOUND]},
    ),
    "gemini": own(
        "gemini",
        {"signature": "eA=="},
        {"signature": "eA=="},
        {"signature": "eA=="},
        {"executableCode": {"code": "1", "language": "PYTHON"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
    ),
}
HIDDEN = AssistantTurn(
    "Yes.", parts=(Thinking("", {"data": "x"}), TextPart("Yes.")), wire="anthropic"
)

ASK = UserTurn("Will it rain?")
ANSWERED = ToolTurn((RESULTS[0],))


def _turns(*turns: Any) -> Request:
    return Request((ASK, *turns))


def _media() -> dict[str, Request]:
    """Each medium in a user's turn, and pictures and documents in a tool's result."""
    asked = {name: Request((UserTurn(("What is it?", media)),)) for name, media in MEDIA.items()}
    shown = {
        f"result-{name}": _turns(
            AssistantTurn("", CALLS[:2]),
            ToolTurn(
                (
                    ToolResult("call_1", "weather", ("A map:", MEDIA[name])),
                    ToolResult("call_2", "weather", (MEDIA[name],)),
                )
            ),
        )
        for name in (
            "image-url",
            "image-data",
            "image-file",
            "document-named",
            "document-url",
            "document-file",
        )
    }
    return asked | shown


def _options() -> dict[str, Request]:
    """Everything of a request but its turns."""
    one: dict[str, tuple[Any, ...]] = {
        "temperature": (0, 0.7), "top_p": (0.9,), "top_k": (40,), "seed": (7,), "max_tokens": (1, 6000),
        "presence_penalty": (-0.5,), "frequency_penalty": (1,), "stop": (("END",), ("a", "b")),
        "parallel_calls": (True, False), "prompt_cache": (True,), "restart": (True,), "json_mode": (True,), "output_name": ("city_report",),
        "top_logprobs": (5,),
        "thinking": (True, False, 1024, 5000, 20000, "minimal", "low", "medium", "high", "xhigh", "max"),
        "system": ("Be brief.", ("Be brief.", "Be kind."), ("Be brief.", CACHE, "Be kind.", CACHE), (CACHE, "Be brief.")),
    }  # fmt: skip
    said = {
        f"{name}={value}": Request((ASK,), **{name: value})
        for name, values in one.items()
        for value in values
    }
    tools = (
        tool("weather"),
        tool("now", ""),
        tool("strict", "About.", True),
        tool("loose", "About.", False),
    )
    for choice in (None, "auto", "none", "required", "weather"):
        for parallel in (None, True, False):
            said[f"tools:{choice}:{parallel}"] = Request(
                (ASK,), tools=tools, tool_choice=choice, parallel_calls=parallel
            )
    for shape in SHAPES:
        asked_for = Request((ASK,), output_schema=asked(shape), output_name="report")
        said[f"shape-{shape}"] = asked_for
        said[f"shape-{shape}-tool"] = as_tool(asked_for)
    plain = Request((ASK,), output_schema=asked("union"), system=("Be brief.", CACHE))
    said["shape-tool-beside-tools"] = as_tool(replace(plain, tools=tools))
    said["shape-words"] = as_words(plain)
    said["shape-words-plain"] = as_words(replace(plain, system="Be brief."))
    return said


CASES: dict[str, Request] = {
    "text": Request((ASK,)),
    "texts": Request((UserTurn(("One.", "Two.")), UserTurn("Three."))),
    "cache": Request((UserTurn((CACHE, "One.", CACHE, MEDIA["image-url"], CACHE, "Two.")),)),
    "cache-hours": Request(
        (UserTurn(("One.", CacheMark("1h"), "Two.", CacheMark("5m"))),),
        system=("Be brief.", CacheMark("1h")),
        tools=(replace(tool("weather"), cache=CacheMark("1h")), tool("now")),
    ),
    "cache-calls": _turns(
        AssistantTurn("", (replace(CALLS[0], cache=CACHE),)),
        ToolTurn((replace(RESULTS[0], cache=CACHE),)),
    ),
    "blank": Request(
        (UserTurn(" "), AssistantTurn("\n"), UserTurn(("One.", " "))), system=(" ", "Be brief.")
    ),
    "said": _turns(AssistantTurn("No."), UserTurn("Sure?")),
    "said-nothing": _turns(AssistantTurn(), UserTurn("Sure?")),
    "calls": _turns(AssistantTurn("Let me look.", CALLS), ToolTurn(RESULTS)),
    "calls-alone": _turns(AssistantTurn("", CALLS), ToolTurn(RESULTS), AssistantTurn("Rain."), ASK),
    "calls-cache": _turns(
        AssistantTurn("", CALLS[:1]), ToolTurn((ToolResult("call_1", "weather", ("A", "B")),))
    ),
    "calls-empty": _turns(
        AssistantTurn("", CALLS[:1]), ToolTurn((ToolResult("call_1", "weather", ()),))
    ),
    "foreign": _turns(FOREIGN, UserTurn("And?")),
    "hidden": _turns(HIDDEN, UserTurn("And?")),
    **{f"own-{wire}": _turns(turn, ANSWERED) for wire, turn in OWN.items()},
    **_media(),
    **_options(),
}
EXTRAS: dict[str, tuple[Json, ...]] = {
    "openai-chat": (
        {
            "user": "u",
            "logit_bias": {"5": 1},
            "stream_options": {"include_obfuscation": False},
            "stop": "END",
        },
        {
            "tools": [{"type": "custom", "custom": {"name": "free"}}],
            "verbosity": "low",
            "store": None,
        },
    ),
    "openai-responses": (
        {
            "previous_response_id": "resp_1",
            "metadata": {"a": "b"},
            "truncation": "auto",
            "text": {"verbosity": "low"},
        },
        {
            "tools": [{"type": "web_search"}],
            "include": ["web_search_call.action.sources"],
            "store": True,
        },
    ),
    "anthropic": (
        {
            "metadata": {"user_id": "u"},
            "service_tier": "auto",
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {
            "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
            "inference_geo": "us",
        },
    ),
    "gemini": (
        {
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
            "cachedContent": "c/1",
        },
        {
            "tools": [{"googleSearch": {}}, {"codeExecution": {}}],
            "generationConfig": {"candidateCount": 1},
        },
    ),
}
"""Parameters of each provider's own."""


# -- who cannot say what ---------------------------------------------------------------------------
_MEDIA_CHAT = (
    *("audio-url", "audio-file", "audio-flac", "document-url", "image-file"),
    *("video-file", "video-url", "video-data"),
)
_NO_AUDIO = (
    "audio-url",
    "audio-file",
    "audio-data",
    "audio-mp3",
    "audio-flac",
    "video-url",
    "video-file",
    "video-data",
)
_NO_DICE = ("seed=7", "presence_penalty=-0.5", "frequency_penalty=1")
CANNOT: dict[str, frozenset[str]] = {
    "openai-chat": frozenset(
        {*_MEDIA_CHAT, "result-image-file", "result-document-url", "top_k=40"}
    ),
    "openai-responses": frozenset(
        {*_NO_AUDIO, *_NO_DICE, "top_k=40", "stop=('END',)", "stop=('a', 'b')"}
    ),
    "anthropic": frozenset(
        {*_NO_AUDIO, *_NO_DICE, "document-word", "image-tiff", "json_mode=True", "top_logprobs=5"}
    ),
    "gemini": frozenset(
        f"tools:{choice}:False" for choice in (None, "auto", "none", "required", "weather")
    ),
}
"""The cases that a wire format has no way to say: BadRequest."""


# -- rendering -------------------------------------------------------------------------------------
def shaped(wire: str, request: Request) -> Request:
    """The request with its schema in the flavour of the endpoint, or as a tool where no schema is held to strictly."""
    if request.output_schema is None:
        return request
    shape, strict = fit(request.output_schema, TARGETS[wire][0].flavour)
    request = replace(request, output_schema=shape)
    return request if strict else as_tool(request)


def rendered(wire: str, request: Request, stream: bool = True) -> Json:
    """The body of a request.

    Raises:
        BadRequest: the wire format cannot say it.
    """
    endpoint, model = TARGETS[wire]
    return render_request(
        endpoint.wire, shaped(wire, request), model, stream=stream, dialect=endpoint.dialect
    )


def fitting(wire: str) -> list[str]:
    """The cases that a wire format can say, and its SDK too."""
    return [name for name in CASES if name not in CANNOT[wire]]


def default(name: str) -> Any:
    """What a field of a request is if nobody says otherwise; turns have none."""
    found = next(field for field in fields(Request) if field.name == name)
    if found.default_factory is not MISSING:
        return found.default_factory()
    return () if found.default is MISSING else found.default


def merged(pieces: Iterable[Request]) -> Request:
    """One request of several: all their turns and tools, and of everything else what the last one says."""
    whole = Request(())
    for piece in pieces:
        said = {
            f.name: getattr(piece, f.name)
            for f in fields(Request)
            if getattr(piece, f.name) != default(f.name)
        }
        new = tuple(spec for spec in piece.tools if spec not in whole.tools)
        settings = replace(whole.settings, **piece.settings.stated)
        together = {
            "turns": whole.turns + piece.turns,
            "tools": whole.tools + new,
            "settings": settings,
        }
        whole = replace(whole, **{**said, **together})
    return whole
