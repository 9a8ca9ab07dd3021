"""Gemini generateContent and streamGenerateContent.

Reference: https://ai.google.dev/api/generate-content
Calls come whole and may lack ids; signatures sit on any part and go back in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import (
    AssistantTurn,
    Block,
    CacheMark,
    Part,
    TextPart,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)
from graphflow.providers.wires.demands import cannot, hosted_tools, is_bounded, one_at_a_time
from graphflow.providers.wires.gemini_reply import MADE, NAME, GeminiParser
from graphflow.providers.wires.json_object import Json, arguments_of, present
from graphflow.providers.wires.wire import Dialect, Wire

UNSIGNED = "skip_thought_signature_validator"
"""What stands for a signature on a call that another provider's model made: Gemini 3 refuses calls without one
(ai.google.dev/gemini-api/docs/thought-signatures)."""

BUDGETS = {"minimal": 512, "low": 2048, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
"""Tokens of reasoning for an effort; 24,576 is the most that all models of 2.5 take."""
_LEVELS = re.compile(r"gemini-([3-9]|\d\d)")
"""Models that take levels of reasoning in place of budgets."""
HIGHEST = {"xhigh": "HIGH", "max": "HIGH"}
MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A generateContent request without its contents; the path says whether it streams."""
    one_at_a_time(NAME, request)
    body: Json = {}
    system = [{"text": text} for text in request.system_parts if isinstance(text, str)]
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        functions = [render_tool(tool) for tool in request.tools]
        body["tools"] = [{"functionDeclarations": functions}]
    if request.settings.tool_choice is not None and can_choose(request):
        config = render_tool_choice(request.settings.tool_choice)
        body["toolConfig"] = {"functionCallingConfig": config}
    generation = _render_generation(request, model)
    if generation:
        body["generationConfig"] = generation
    return body


def _render_generation(request: Request, model: str) -> Json:
    """How the answer is made: sampling, length, reasoning, form."""
    settings = request.settings
    form: Json = {}
    if request.output_schema is not None or request.json_mode:
        form["responseMimeType"] = "application/json"
    if request.output_schema is not None:
        form["responseJsonSchema"] = request.output_schema
    if request.top_logprobs:
        form["responseLogprobs"] = True
        form["logprobs"] = request.top_logprobs
    return form | present(
        temperature=settings.temperature,
        topP=settings.top_p,
        topK=settings.top_k,
        maxOutputTokens=settings.max_tokens,
        stopSequences=list(settings.stop) or None,
        seed=settings.seed,
        presencePenalty=settings.presence_penalty,
        frequencyPenalty=settings.frequency_penalty,
        thinkingConfig=render_thinking(settings.thinking, model),
    )


def render_tool_choice(choice: str) -> Json:
    """Which tool it is to call; one alone is the only one of those that are allowed."""
    mode = MODES.get(choice)
    if mode is not None:
        return {"mode": mode}
    return {"mode": "ANY", "allowedFunctionNames": [choice]}


def can_choose(request: Request) -> bool:
    """Whether a choice can be sent: it is made among functions only, and Google's own tools know none.

    Raises:
        BadRequest: a choice among Google's own tools was asked for.
    """
    if request.tools:
        return True
    if hosted_tools(request) and request.settings.tool_choice != "auto":
        raise cannot(
            NAME, f"tool_choice={request.settings.tool_choice!r} for its own tools", "leave it out"
        )
    return False


def render_thinking(thinking: bool | int | str | None, model: str) -> Json | None:
    """How much a model reasons: a budget up to Gemini 2.5, a level from 3 on (ai.google.dev/gemini-api/docs/thinking)."""
    if thinking is None:
        return None
    has_levels = _LEVELS.search(model) is not None
    if thinking is False:
        return _render_least_thinking(model, has_levels)
    config: Json = {"includeThoughts": True}
    match thinking:
        case True:
            pass
        case str() if has_levels:
            config["thinkingLevel"] = HIGHEST.get(thinking, thinking.upper())
        case str():
            config["thinkingBudget"] = BUDGETS[thinking]
        case budget:
            config["thinkingBudget"] = budget
    return config


def _render_least_thinking(model: str, has_levels: bool) -> Json:
    """What comes nearest to no reasoning: the Pro models cannot stop it altogether."""
    is_pro = "pro" in model
    if has_levels:
        return {"thinkingLevel": "LOW" if is_pro else "MINIMAL"}
    return {"thinkingBudget": 128 if is_pro else 0}


def render_tool(tool: ToolSpec) -> Json:
    """One tool. `parametersJsonSchema` takes JSON Schema, `parameters` an OpenAPI subset only."""
    return {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.parameters,
    }


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as a content."""
    match turn:
        case UserTurn():
            parts = [
                _render_content(part) for part in turn.parts if not isinstance(part, CacheMark)
            ]
            return [{"role": "user", "parts": parts}]
        case AssistantTurn():
            parts = _render_answer(turn)
            return [{"role": "model", "parts": parts}] if parts else []
        case ToolTurn():
            results = [_result(result) for result in turn.results]
            files = [render_media(media) for result in turn.results for media in result.media]
            return [{"role": "user", "parts": results + files}]


def _render_content(part: str | Media) -> Json:
    return {"text": part} if isinstance(part, str) else render_media(part)


def _render_answer(turn: AssistantTurn) -> list[Json]:
    is_own = turn.wire == NAME
    # Calls of another provider's model have no signature, and Gemini 3 refuses a turn whose first call lacks one.
    rendered = [_part(part, is_own) for part in turn.in_order]
    parts = [part for part in rendered if part]
    if not is_own:
        _sign_first_call(parts)
    return parts


def _sign_first_call(parts: list[Json]) -> None:
    """Gives the first call of another provider's turn what stands for a signature: the API asks for it there alone."""
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", UNSIGNED)
            return


def _part(part: Part, is_own: bool) -> Json | None:
    """A part as the API has it; None if there is nothing to send of it. Signatures go back to Google alone."""
    signed = present(thoughtSignature=part.keep.get("signature")) if is_own else {}
    match part:
        case TextPart():
            return {"text": part.text, **signed} if part.text or signed else None
        case ToolCall():
            call: Json = {"name": part.name, "args": arguments_of(part.arguments)}
            if _is_given(part.id):
                call["id"] = part.id
            return {"functionCall": call, **signed}
        case Thinking():
            return {"text": part.text, "thought": True, **signed} if signed else None
        case Block():
            return dict(part.keep["item"]) if is_own else None


def _is_given(id: str) -> bool:
    """Whether an id is one that the API gave, and knows again."""
    return bool(id) and not id.startswith(MADE)


def _result(result: ToolResult) -> Json:
    """A tool's answer, always an object: its own if it is one, else under the key the API names for it."""
    response: Json = {"name": result.name, "response": _answer(result)}
    if _is_given(result.id):
        response["id"] = result.id
    return {"functionResponse": response}


def _answer(result: ToolResult) -> Json:
    text = result.text
    if not result.ok:
        return {"error": text}
    if text.startswith("{"):
        try:
            data = from_json(text)
        except ValueError:
            data = None
        if isinstance(data, dict):
            return data
    return {"output": text}


def render_media(media: Media) -> Json:
    """A picture, sound, film or document."""
    if media.data:
        return {"inlineData": {"mimeType": media.mime, "data": media.base64}}
    file: Json = {"fileUri": media.url or media.file_id}
    if media.mime:
        file["mimeType"] = media.mime
    return {"fileData": file}


def path(model: str, stream: bool) -> str:
    """Without `alt=sse` a stream is one JSON array."""
    return (
        f"/models/{model}:streamGenerateContent?alt=sse"
        if stream
        else f"/models/{model}:generateContent"
    )


def limits(extra: Mapping[str, Any]) -> bool:
    """Whether an answer's length is bounded; the API takes both spellings of its names."""
    bounds = ("maxOutputTokens", "max_output_tokens")
    return is_bounded(extra.get("generationConfig"), *bounds) or is_bounded(
        extra.get("generation_config"), *bounds
    )


WIRE = Wire(
    name=NAME,
    turns="contents",
    framing="sse",
    path=path,
    render_head=render_head,
    render_system=lambda request, dialect: [],
    render_turn=render_turn,
    parser=GeminiParser,
    limits=limits,
    listing="/models?pageSize=1000",
)
