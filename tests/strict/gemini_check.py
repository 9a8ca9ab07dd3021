"""What the Gemini API refuses, in its own words."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from tests.strict.base import Refused, number, signature, whole
from tests.strict.schema import camel, gemini_subset
from tests.strict.script import Json

TOP = {
    "contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig", "cachedContent",
    "labels", "serviceTier", "store", "model",
}  # fmt: skip
CONFIG = {
    "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "responseFormat",
    "responseModalities", "candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "seed",
    "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "enableEnhancedCivicAnswers",
    "speechConfig", "thinkingConfig", "imageConfig", "mediaResolution",
}  # fmt: skip
TOOL = {
    "functionDeclarations", "googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "computerUse",
    "fileSearch", "googleMaps", "mcpServers",
}  # fmt: skip
DECLARATION = {
    "name", "description", "behavior", "parameters", "parametersJsonSchema", "response", "responseJsonSchema",
}  # fmt: skip
DATA = {
    "text", "inlineData", "functionCall", "functionResponse", "fileData", "executableCode", "codeExecutionResult",
    "toolCall", "toolResponse",
}  # fmt: skip
ABOUT_PART = {
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "partMetadata",
    "mediaProcessing",
}
SKIPPERS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""The documented stand-ins for a signature that is lost."""
_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$")


def sign_call(name: str, arguments: Any) -> str:
    return signature(f"gemini call {name} {json.dumps(arguments, sort_keys=True)}")


def sign_text() -> str:
    return signature("gemini text")


def _bad(rule: str, text: str, field: str | None = None) -> Refused:
    return Refused(rule, text, param=field)


def fields(value: Any, allowed: set[str], where: str, rule: str = "unknown-parameter") -> Json:
    """An object with its keys in camel case; both spellings are taken, anything else is not."""
    if not isinstance(value, dict):
        raise _bad("type", f"Invalid value at '{where}', expected an object", where)
    for key in value:
        if camel(key) not in allowed:
            at = f" at '{where}'" if where else ""
            raise _bad(
                rule,
                f'Invalid JSON payload received. Unknown name "{key}"{at}: Cannot find field.',
                where,
            )
    out = {camel(key): inner for key, inner in value.items()}
    if len(out) < len(value):
        raise _bad(
            "type", f"Invalid JSON payload received. A field is set twice at '{where}'", where
        )
    return {key: inner for key, inner in out.items() if inner is not None}


def check_body(body: Json, model: str) -> None:
    """Raises for the first thing that is wrong."""
    top = fields(body, TOP, "")
    contents = top.get("contents")
    if not isinstance(contents, list) or not contents:
        raise _bad(
            "messages", "* GenerateContentRequest.contents: contents is not specified\n", "contents"
        )
    config = fields(top.get("generationConfig") or {}, CONFIG, "generation_config")
    _config(config, model)
    names = _tools(top.get("tools") or [])
    _choice(top.get("toolConfig"), names)
    third = model.startswith("gemini-3")
    if names and config.get("responseMimeType") == "application/json" and not third:
        raise _bad(
            "schema-with-tools",
            "Function calling with a response mime type: 'application/json' is unsupported",
        )
    if "systemInstruction" in top:
        system = fields(top["systemInstruction"], {"parts", "role"}, "system_instruction")
        for at, part in enumerate(_listed(system.get("parts"))):
            _part(part, f"system_instruction.parts[{at}]")
    turns = [_content(content, f"contents[{at}]") for at, content in enumerate(contents)]
    _order(turns)
    _signatures(turns, third=third)


def _listed(parts: Any) -> list[Any]:
    """A repeated field may be written as its only element."""
    return parts if isinstance(parts, list) else [parts]


def _config(config: Json, model: str) -> None:
    for name, low, high in (("temperature", 0, 2), ("topP", 0, 1)):
        value = config.get(name)
        if value is not None and (not number(value) or not low <= value <= high):
            snake = {"topP": "top_p"}.get(name, name)
            text = f"* GenerateContentRequest.generation_config.{snake}: {snake} must be in the range [{low:.1f}, {high:.1f}].\n"
            raise _bad("range", text, f"generation_config.{snake}")
    for name in ("maxOutputTokens", "candidateCount", "topK"):
        value = config.get(name)
        if value is not None and (not whole(value) or value < 1):
            raise _bad(
                "range", f"* GenerateContentRequest.generation_config.{name}: must be positive.\n"
            )
    if "seed" in config and (not whole(config["seed"]) or abs(config["seed"]) >= 2**31):
        raise _bad(
            "range", f"Invalid value at 'generation_config.seed' (TYPE_INT32), {config['seed']}"
        )
    if len(config.get("stopSequences") or []) > 5:
        raise _bad(
            "range",
            "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are allowed.\n",
        )
    kind = config.get("responseMimeType")
    if kind not in (None, "text/plain", "application/json", "text/x.enum"):
        raise _bad(
            "response-format",
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, `application/json`.\n",
        )
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if schemas and kind not in ("application/json", "text/x.enum"):
        raise _bad(
            "response-format",
            "Json schema is only supported with response mime type 'application/json'.",
        )
    if len(schemas) > 1:
        raise _bad(
            "response-format", "response_schema and response_json_schema are mutually exclusive."
        )
    if "responseSchema" in config:
        _schema(config["responseSchema"], "generation_config.response_schema")
    thinking = fields(
        config.get("thinkingConfig") or {},
        {"includeThoughts", "thinkingBudget", "thinkingLevel"},
        "generation_config.thinking_config",
    )
    if "thinkingLevel" in thinking:
        if "thinkingBudget" in thinking:
            raise _bad(
                "thinking-budget",
                "You can only set only one of thinking budget and thinking level.",
            )
        if model.startswith(("gemini-2", "gemini-1")):
            raise _bad("thinking-model", "Thinking level is not supported for this model.")
        if str(thinking["thinkingLevel"]).upper() not in ("MINIMAL", "LOW", "MEDIUM", "HIGH"):
            raise _bad(
                "thinking-budget",
                f"Invalid value at 'generation_config.thinking_config.thinking_level', \"{thinking['thinkingLevel']}\"",
            )


def _schema(schema: Any, where: str) -> None:
    for parser, at, text in gemini_subset(schema, where):
        raise _bad(
            "schema-keyword" if parser else "schema",
            text if parser else f"* GenerateContentRequest.{text}\n",
            at,
        )


def _tools(tools: Any) -> list[str]:
    names: list[str] = []
    for index, tool in enumerate(_listed(tools)):
        at = f"tools[{index}]"
        for number_, raw in enumerate(
            _listed(fields(tool, TOOL, at).get("functionDeclarations") or [])
        ):
            where = f"{at}.function_declarations[{number_}]"
            declaration = fields(raw, DECLARATION, where, "unknown-tool-key")
            name = declaration.get("name")
            if not isinstance(name, str) or not _NAME.match(name):
                text = (
                    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, "
                    "0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
                )
                raise _bad("tool-name", f"* GenerateContentRequest.{where}.name: {text}\n", where)
            if name in names:
                raise _bad("duplicate-tool", f"Duplicate function declaration found: {name}")
            names.append(name)
            for one, two in (
                ("parameters", "parametersJsonSchema"),
                ("response", "responseJsonSchema"),
            ):
                if one in declaration and two in declaration:
                    raise _bad(
                        "tool-schema",
                        f"* GenerateContentRequest.{where}: {one} and {two} are mutually exclusive.\n",
                    )
            if "parameters" in declaration:
                _schema(declaration["parameters"], f"{where}.parameters")
                if str(declaration["parameters"].get("type", "")).upper() != "OBJECT":
                    raise _bad(
                        "tool-schema",
                        f"* GenerateContentRequest.{where}.parameters.type: schema should be of type OBJECT\n",
                    )
            if not isinstance(declaration.get("parametersJsonSchema", {}), dict):
                raise _bad(
                    "tool-schema",
                    f"* GenerateContentRequest.{where}.parameters_json_schema: must be an object\n",
                )
    return names


def _choice(config: Any, names: list[str]) -> None:
    if config is None:
        return
    outer = fields(
        config,
        {"functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"},
        "tool_config",
    )
    at = "tool_config.function_calling_config"
    inner = fields(outer.get("functionCallingConfig") or {}, {"mode", "allowedFunctionNames"}, at)
    mode = str(inner.get("mode", "AUTO")).upper()
    if mode not in ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"):
        raise _bad("tool-choice", f"Invalid value at '{at}.mode', \"{mode}\"", at)
    if mode == "ANY" and not names:
        raise _bad(
            "choice-without-tools",
            "Function calling mode is set to ANY but no function declarations are provided.",
        )
    wanted = inner.get("allowedFunctionNames") or []
    if wanted and mode not in ("ANY", "VALIDATED"):
        raise _bad(
            "tool-choice",
            "Function calling config is set without function calling mode ANY: allowed_function_names",
        )
    for name in wanted:
        if name not in names:
            raise _bad(
                "tool-choice",
                f"allowed_function_names: {name} is not among the function declarations",
            )


def _content(content: Any, where: str) -> Json:
    """A content with its parts read, keys in camel case."""
    turn = fields(content, {"parts", "role"}, where, "unknown-message-key")
    role = turn.get("role", "user")
    if role not in ("user", "model", "function"):
        raise _bad("role", "Please use a valid role: user, model.")
    parts = _listed(turn.get("parts") or [])
    if not parts:
        raise _bad(
            "empty-message",
            f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n",
        )
    return {
        "role": role,
        "parts": [_part(part, f"{where}.parts[{at}]") for at, part in enumerate(parts)],
    }


def _part(raw: Any, where: str) -> Json:
    part = fields(raw, DATA | ABOUT_PART, where, "unknown-message-key")
    data = [name for name in part if name in DATA]
    if not data:
        text = f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one initialized field\n"
        raise _bad("empty-message", text)
    if len(data) > 1:
        raise _bad(
            "content-part",
            f"Invalid value at '{where}' (oneof), oneof field 'data' is already set. Cannot set '{data[1]}'",
        )
    if "text" in part and not isinstance(part["text"], str):
        raise _bad("content-part", f"Invalid value at '{where}.text' (TYPE_STRING), {part['text']}")
    if "functionCall" in part:
        call = fields(
            part["functionCall"],
            {"id", "name", "args"},
            f"{where}.function_call",
            "unknown-message-key",
        )
        if not isinstance(call.get("name"), str) or not _NAME.match(call["name"]):
            raise _bad(
                "tool-name",
                f"* GenerateContentRequest.{where}.function_call.name: Name cannot be empty.\n",
            )
        if not isinstance(call.get("args", {}), dict):
            text = f"Invalid value at '{where}.function_call.args' (type.googleapis.com/google.protobuf.Struct), {json.dumps(call['args'])}"
            raise _bad("arguments-type", text)
        part["functionCall"] = {"args": {}} | call
    if "functionResponse" in part:
        at = f"{where}.function_response"
        allowed = {"id", "name", "response", "parts", "willContinue", "scheduling"}
        result = fields(part["functionResponse"], allowed, at, "unknown-message-key")
        if not isinstance(result.get("name"), str) or not result["name"]:
            raise _bad(
                "result-name", f"* GenerateContentRequest.{at}.name: Name cannot be empty.\n"
            )
        if not isinstance(result.get("response"), dict):
            text = f"Invalid value at '{at}.response' (type.googleapis.com/google.protobuf.Struct), {json.dumps(result.get('response'))}"
            raise _bad("result-type", text)
        part["functionResponse"] = result
    return part


def _calls(turn: Json) -> list[Json]:
    return [part["functionCall"] for part in turn["parts"] if "functionCall" in part]


def _results(turn: Json) -> list[Json]:
    return [part["functionResponse"] for part in turn["parts"] if "functionResponse" in part]


def _order(turns: list[Json]) -> None:
    for at, turn in enumerate(turns):
        calls, results = _calls(turn), _results(turn)
        before = turns[at - 1] if at else None
        if calls:
            if turn["role"] != "model":
                raise _bad(
                    "block-role", "Please ensure that function call turns have the role model."
                )
            if before is None or before["role"] == "model":
                text = "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
                raise _bad("call-order", text)
            after = _results(turns[at + 1]) if at + 1 < len(turns) else []
            _matched(calls, after)
        if results and turn["role"] == "model":
            raise _bad(
                "block-role",
                "Please ensure that function response turns have the role user or function.",
            )
        if results and (before is None or not _calls(before)):
            text = "Please ensure that function response turn comes immediately after a function call turn."
            raise _bad("orphan-result", text)


def _matched(calls: list[Json], results: list[Json]) -> None:
    if len(calls) != len(results):
        text = (
            "Please ensure that the number of function response parts is equal to the number of function call parts of "
            "the function call turn."
        )
        raise _bad("missing-result" if len(results) < len(calls) else "orphan-result", text)
    if Counter(call["name"] for call in calls) != Counter(result["name"] for result in results):
        text = "Please ensure that the function response names match the function call names of the function call turn."
        raise _bad("result-name", text)
    # Ids may be left out of the responses (Google's own client does, when it runs the functions itself); the ones that
    # are said have to be those of calls of the same name.
    known = {(call["id"], call["name"]) for call in calls if "id" in call}
    given = [(result["id"], result["name"]) for result in results if "id" in result]
    if not set(given) <= known or len(set(given)) < len(given):
        text = "Please ensure that the function response ids match the function call ids of the function call turn."
        raise _bad("call-id", text)


def _signatures(turns: list[Json], *, third: bool) -> None:
    """Signatures come back as they were; in the turn that is still open, gemini-3 misses them."""
    own = [at for at, turn in enumerate(turns) if turn["role"] != "model" and not _results(turn)]
    start = own[-1] if own else -1
    for at, turn in enumerate(turns):
        first = True
        for place, part in enumerate(turn["parts"]):
            given = part.get("thoughtSignature")
            call = part.get("functionCall")
            wanted = sign_call(call["name"], call["args"]) if call else sign_text()
            if given is not None and given not in SKIPPERS and _standard(given) != wanted:
                raise _bad(
                    "thought-signature",
                    "Corrupted thought signature.",
                    f"contents[{at}].parts[{place}]",
                )
            if call and first and third and at > start and not given:
                text = (
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                    "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                    f"data, function call `default_api:{call['name']}` , position {at + 1}. Please refer to "
                    "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
                )
                raise _bad("thought-signature", text)
            first = first and not call


def _standard(text: Any) -> str:
    """Base64 in its standard alphabet; the URL-safe one is taken too."""
    return str(text).replace("-", "+").replace("_", "/")
