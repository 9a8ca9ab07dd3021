"""Codex without a terminal: `codex exec --json`.

Lines are events of a thread; the answer is an item of type agent_message. Reference:
https://developers.openai.com/codex/noninteractive
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphflow.errors import (
    AuthError,
    ConnectionFailed,
    ContextOverflow,
    MalformedReply,
    ModelError,
    Overloaded,
    QuotaExceeded,
    RateLimited,
)
from graphflow.messages.message import to_json_value
from graphflow.model.seam import Finished, ModelEvent, Request, TextDelta, ThinkingDelta, UsageDelta
from graphflow.providers.commands.command import (
    CommandLineTool,
    KindsByWords,
    check_request,
    instructions,
    kind_by_words,
    paragraphs,
    prompt,
    tool_error,
)
from graphflow.providers.commands.process import CommandLine
from graphflow.providers.prompted_tools import schema_of
from graphflow.providers.structured_output import fit, schema_instruction
from graphflow.providers.wires.demands import cannot

NAME = "codex"
SYSTEM_FILE, SCHEMA_FILE = "instructions.md", "schema.json"
_WORDS: KindsByWords = (
    (r"usage limit|quota exceeded|out of credits|spend cap|upgrade to plus", QuotaExceeded),
    (r"429 Too Many Requests", RateLimited),
    (r"401 Unauthorized|not logged in|sign in again|could not be refreshed", AuthError),
    (r"context window", ContextOverflow),
    (r"high demand|at capacity", Overloaded),
    (r"stream disconnected", ConnectionFailed),
)
"""Codex puts errors in words only."""
OFF = (
    *(
        "shell_tool",
        "unified_exec",
        "view_image",
        "apps",
        "multi_agent",
        "goals",
        "plugins",
        "hooks",
        "tool_suggest",
    ),
    "image_generation",
)
"""Features that let it do things: it shall answer."""
SILENT = (
    *(
        "include_permissions_instructions",
        "include_environment_context",
        "include_apps_instructions",
    ),
    *(
        "include_collaboration_mode_instructions",
        "skills.include_instructions",
        "skills.bundled.enabled",
    ),
    *("agents.enabled", "analytics.enabled", "check_for_update_on_startup"),
)
"""What it would add to a prompt of its own accord, or do beside it."""


FLAGS = (
    *("exec", "--json", "--skip-git-repo-check", "--ephemeral"),
    *("--sandbox", "read-only"),
    *("--ignore-user-config", "--ignore-rules"),
)


def build(request: Request, model: str, folder: Path) -> CommandLine:
    """Read-only, outside any project, without the user's configuration: only the model."""
    check_request(NAME, request, "max_tokens")
    effort = request.settings.thinking
    if effort is not None and not isinstance(effort, str):
        raise cannot(NAME, f"thinking={effort!r}", "give an effort, as thinking='high'")
    arguments = [*FLAGS, "--cd", str(folder)]
    if model != "default":
        arguments += ["--model", model]
    system = instructions(request)
    files: dict[str, str] = {}
    schema = schema_of(request)
    if schema is not None:
        shape, is_strict = fit(schema, "strict")
        # It wants an object at the root, and calls are a choice of several.
        if is_strict and not request.tools:
            files[SCHEMA_FILE] = json.dumps(to_json_value(shape))
            schema_file = folder / SCHEMA_FILE
            arguments += ["--output-schema", str(schema_file)]
        else:
            system = paragraphs(system, schema_instruction(schema))
    files[SYSTEM_FILE] = system or "Answer."
    for setting in _settings(folder, effort):
        arguments += ["--config", setting]
    return CommandLine((*arguments, "-"), prompt(request, NAME), files)


def _settings(folder: Path, effort: str | None) -> list[str]:
    """Its configuration, in the words of its own file."""
    # Values are TOML: a JSON text is one, too.
    settings = ['web_search="disabled"', "project_doc_max_bytes=0"]
    settings += [f"{name}=false" for name in SILENT]
    settings += [f"features.{name}=false" for name in OFF]
    system_file = json.dumps(str(folder / SYSTEM_FILE))
    settings.append(f"model_instructions_file={system_file}")
    if effort is not None:
        settings.append(f"model_reasoning_effort={json.dumps(effort)}")
    return settings


class CodexLines:
    """Reads its output."""

    def __init__(self, request: Request) -> None:
        self.done = False
        self.complaint = ""
        self.answer: str | None = None
        self.usage: UsageDelta | None = None

    def note(self, text: str) -> None:
        """Nothing that matters."""

    def line(self, data: Any) -> list[ModelEvent]:
        """One line."""
        match data.get("type"):
            case "item.completed":
                return self._item(data.get("item") or {})
            case "turn.completed":
                self.usage = parse_usage(data.get("usage") or {})
                self.done = True
            case "turn.failed":
                error = data.get("error") or {}
                raise _error(str(error.get("message") or self.complaint))
            case "error":
                self.complaint = str(data.get("message") or "")
        return []

    def _item(self, item: dict[str, Any]) -> list[ModelEvent]:
        text = str(item.get("text") or "")
        thought: str | None = None
        if item.get("type") == "agent_message":
            thought = self.answer  # all but the last message are notes on the way
            self.answer = text
        elif item.get("type") == "reasoning":
            thought = text
        return [ThinkingDelta(thought)] if thought else []

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """Usage and finish."""
        if code:
            raise _error(
                self.complaint or complaint or f"the tool ended with exit code {code}", code
            )
        if self.usage is None:
            raise MalformedReply(
                f"{NAME}: the tool ended before its turn was completed", provider=NAME
            )
        events: list[ModelEvent] = [self.usage, Finished("stop", "turn.completed")]
        if self.answer:
            events.insert(0, TextDelta(self.answer))
        return events


def _error(text: str, code: int = 0) -> ModelError:
    return tool_error(NAME, text, kind_by_words(text, _WORDS), provider_code=str(code or ""))


def parse_usage(usage: dict[str, Any]) -> UsageDelta:
    """Token counts; cached ones are part of the input here. A subscription has no price a token."""
    return UsageDelta(
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        cache_read_tokens=usage.get("cached_input_tokens"),
        cache_write_tokens=usage.get("cache_write_input_tokens"),
        reasoning_tokens=usage.get("reasoning_output_tokens"),
    )


COMMAND = CommandLineTool(
    NAME,
    "codex",
    "exec --json",
    "install it with: npm install -g @openai/codex, and log in with: codex login",
    build,
    CodexLines,
    own=("OPENAI_*", "CODEX_*"),
)
