"""The table of endpoints, and how one opens a model.

Adding one is one line in `ENDPOINTS`, or an entry point `graphflow.providers` in another package.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic_core import from_json

from graphflow.errors import DeclarationError
from graphflow.keywords import refuse
from graphflow.providers.credentials import GiveKey, GivenKeys
from graphflow.providers.endpoint import Endpoint
from graphflow.providers.http import Timeouts
from graphflow.providers.http_model import ConnectOptions, HttpModel
from graphflow.providers.keys import keys_for
from graphflow.providers.pace import Pace
from graphflow.providers.retry import RetryPolicy
from graphflow.providers.structured_output import Way
from graphflow.providers.wires import anthropic, gemini, ollama, openai_chat, openai_responses
from graphflow.providers.wires.wire import Dialect


def _tool(model: str, tools: bool) -> Way:
    return "tool"


def _unless(old: str, beside_tools: str = "") -> Callable[[str, bool], Way]:
    """Native schemas, but for old models, and beside tools only for models whose name matches: others must call a tool."""

    def way(model: str, tools: bool) -> Way:
        if re.search(old, model) or (tools and not re.search(beside_tools, model)):
            return "tool"
        return "schema"

    return way


def open_at(
    endpoint: Endpoint,
    model: str,
    *,
    key: str | None = None,
    keys: Sequence[str] = (),
    credentials: GiveKey | None = None,
    base_url: str | None = None,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | int | None = None,
    rpm: float | None = None,
    tpm: float | None = None,
    pace: Pace | None = None,
    stream: bool = True,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    output: Way | None = None,
    **unknown: Any,
) -> HttpModel:
    """Opens a model; `connect` says what each option means.

    Raises:
        KeyMissing: there is no key; nothing was sent.
        DeclarationError: options contradict each other.
    """
    named = f"{endpoint.name}:{model}"
    given: dict[str, object] = {
        "key": key,
        "keys": keys,
        "credentials": credentials,
        "base_url": base_url,
        "timeouts": timeouts,
        "retry": retry,
        "pace": pace,
    }
    given |= {"headers": headers, "extra": extra, "stream": stream, "output": output}
    _check(named, given, unknown)
    address = base_url or os.environ.get(endpoint.base_variable, "") or endpoint.base_url
    if not address:
        raise DeclarationError(
            f"{named} needs the address of a server: set {endpoint.base_variable}, "
            f"or connect('{named}', base_url='http://127.0.0.1:8000/v1')"
        )
    # Another address than the vendor's is a server of one's own or a gateway: it may want no key.
    is_own_server = address.rstrip("/") != endpoint.base_url.rstrip("/")
    needs_key = endpoint.needs_key and not is_own_server
    if credentials is None:
        ring = keys_for(
            endpoint.name, endpoint.key_variables, endpoint.key_page, key, keys, needs_key
        )
    else:
        ring = GivenKeys(named, credentials)
    options = ConnectOptions(
        timeouts=timeouts or Timeouts(),
        retry=_retry(retry),
        pace=_pace(pace, rpm, tpm),
        stream=stream,
        headers=headers or {},
        extra=extra or {},
        output=output,
    )
    return HttpModel(endpoint, model, _address(address, endpoint.name), ring, options)


def _retry(retry: RetryPolicy | int | None) -> RetryPolicy:
    if isinstance(retry, int):
        return RetryPolicy(attempts=retry)
    return retry or RetryPolicy()


def _pace(pace: Pace | None, rpm: float | None, tpm: float | None) -> Pace | None:
    if rpm is None and tpm is None:
        return pace
    if pace is not None:
        raise DeclarationError("give pace=, or rpm= and tpm=, not both")
    return Pace(rpm, tpm)


_OPTIONS: dict[str, tuple[type, ...]] = {
    "key": (str,),
    "keys": (list, tuple),
    "base_url": (str,),
    "timeouts": (Timeouts,),
    "retry": (RetryPolicy, int),
    "pace": (Pace,),
    "headers": (Mapping,),
    "extra": (Mapping,),
    "stream": (bool,),
}


_OUTPUTS = (None, "schema", "tool", "text")


def _check(named: str, given: Mapping[str, object], unknown: Mapping[str, object]) -> None:
    """Refuses options that there are not, and values of the wrong kind.

    Raises:
        DeclarationError: one is; the text names it, and what was meant.
    """
    if unknown:
        known = (*_OPTIONS, "credentials", "rpm", "tpm", "output")
        refuse(f"connect({named!r})", unknown, known)
    for name, kinds in _OPTIONS.items():
        value = given[name]
        if value is None or isinstance(value, kinds):
            continue
        expected = " or ".join(kind.__name__ for kind in kinds)
        actual = type(value).__name__
        raise DeclarationError(
            f"connect({named!r}, {name}=...) takes {expected}, and was given {actual}"
        )
    output = given["output"]
    if output not in _OUTPUTS:
        raise DeclarationError(
            f'connect({named!r}, output={output!r}): give "schema", "tool" or "text"'
        )
    if given["keys"] and given["key"] is not None:
        raise DeclarationError(f"connect({named!r}): give key= or keys=, not both")
    _check_credentials(named, given)


def _check_credentials(named: str, given: Mapping[str, object]) -> None:
    credentials = given["credentials"]
    if credentials is None:
        return
    if not callable(credentials):
        raise DeclarationError(
            f"connect({named!r}, credentials={credentials!r}): give a function of what is wanted, which returns the key"
        )
    if given["keys"] or given["key"] is not None:
        raise DeclarationError(f"connect({named!r}): give credentials=, or key= or keys=, not both")


def _address(text: str, provider: str) -> str:
    """An address as it may be: with a scheme, without a user, a password or a query (where keys would leak from)."""
    if "://" not in text:
        text = f"http://{text}"
    scheme, _, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    if "@" in host or "?" in text:
        raise DeclarationError(
            f"the base_url of {provider} holds a user, a password or a query; pass key= instead"
        )
    if provider == "ollama":  # its own variable may be what the server listens on, without a port
        host = host.replace("0.0.0.0", "127.0.0.1")
        if ":" not in host:
            host += ":11434"
    address = f"{scheme}://{host}{slash}{path}"
    for tail in ("/chat/completions", "/responses", "/v1/messages", "/api/chat"):
        address = address.rstrip("/").removesuffix(tail)  # what people copy out of a vendor's page
    return address


def account_of(token: str) -> Mapping[str, str]:
    """The header that names the account of a ChatGPT access token: a claim of the token itself (RFC 7519).

    `$CHATGPT_ACCOUNT_ID` goes before it. The claim is only read, not trusted: the server checks the token.
    """
    account = os.environ.get("CHATGPT_ACCOUNT_ID", "")
    if not account:
        try:
            account = _account_in(token)
        except (IndexError, ValueError, KeyError, TypeError):  # another kind of token
            return {}
    if not (account.isascii() and account.isprintable()):
        return {}
    return {"chatgpt-account-id": account}


def _account_in(token: str) -> str:
    payload = token.split(".")[1]  # header.payload.signature, each in base64 without its padding
    padding = "=" * (-len(payload) % 4)
    claims = from_json(urlsafe_b64decode(payload + padding))
    return str(claims["https://api.openai.com/auth"]["chatgpt_account_id"])


_CHAT = openai_chat.WIRE
_ALL = (
    Endpoint(
        "openai",
        "https://api.openai.com/v1",
        _CHAT,
        openai_chat.OPENAI,
        ("OPENAI_API_KEY",),
        "https://platform.openai.com/api-keys",
        base_variable="OPENAI_BASE_URL",
        flavour="strict",
        way=_unless(r"^gpt-3\.5|^gpt-4($|-\d{4}|-turbo|-32k)"),
        top_logprobs=20,
    ),
    Endpoint(
        "openai-responses",
        "https://api.openai.com/v1",
        openai_responses.WIRE,
        Dialect("openai-responses"),
        ("OPENAI_API_KEY",),
        "https://platform.openai.com/api-keys",
        base_variable="OPENAI_BASE_URL",
        flavour="strict",
        way=_unless(r"^gpt-3\.5|^gpt-4($|-\d{4}|-turbo|-32k)"),
        top_logprobs=20,
    ),
    # Not a public API: what Codex's own client sends, without its name (see its source, codex-rs/codex-api).
    Endpoint(
        "chatgpt",
        "https://chatgpt.com/backend-api/codex",
        openai_responses.WIRE,
        Dialect("chatgpt", lean=True),
        ("CHATGPT_ACCESS_TOKEN",),
        "the access_token in ~/.codex/auth.json after: codex login",
        base_variable="CHATGPT_BASE_URL",
        headers={"originator": "graphflow", "accept": "text/event-stream"},
        flavour="strict",
        from_key=account_of,
    ),
    Endpoint(
        "anthropic",
        "https://api.anthropic.com",
        anthropic.WIRE,
        Dialect("anthropic"),
        ("ANTHROPIC_API_KEY",),
        "https://platform.claude.com/settings/keys",
        key_header="x-api-key",
        key_prefix="",
        base_variable="ANTHROPIC_BASE_URL",
        headers={"anthropic-version": anthropic.VERSION},
        flavour="narrow",
        # platform.claude.com/docs/en/build-with-claude/structured-outputs: from 4.5 on, and Opus 4.1
        way=_unless(
            r"claude-(2|instant|v1|3|(opus|sonnet|haiku)-3|sonnet-4(-0|-2025|$)|opus-4(-0|-2025|$))"
        ),
        thinking_excludes_tools=True,
    ),
    Endpoint(
        "google",
        "https://generativelanguage.googleapis.com/v1beta",
        gemini.WIRE,
        Dialect("gemini"),
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        "https://aistudio.google.com/apikey",
        key_header="x-goog-api-key",
        key_prefix="",
        base_variable="GOOGLE_GEMINI_BASE_URL",
        # ai.google.dev/gemini-api/docs/structured-output: with function declarations from Gemini 3 on
        way=_unless(r"^gemini-(1|2\.0|pro|flash)|^gemma", beside_tools=r"^gemini-([3-9]|\d\d)"),
        top_logprobs=20,
    ),
    Endpoint(
        "groq",
        "https://api.groq.com/openai/v1",
        _CHAT,
        openai_chat.GROQ,
        ("GROQ_API_KEY",),
        "https://console.groq.com/keys",
        base_variable="GROQ_BASE_URL",
        flavour="strict",
        # console.groq.com/docs/structured-outputs: these models, and never beside tools
        way=_unless(r"^(?!.*(gpt-oss|kimi-k2|llama-4))", beside_tools=r"(?!)"),
    ),
    Endpoint(
        "mistral",
        "https://api.mistral.ai/v1",
        _CHAT,
        openai_chat.MISTRAL,
        ("MISTRAL_API_KEY",),
        "https://console.mistral.ai/api-keys",
        base_variable="MISTRAL_BASE_URL",
        flavour="strict",
    ),
    Endpoint(
        "ollama",
        "http://127.0.0.1:11434",
        ollama.WIRE,
        Dialect("ollama"),
        ("OLLAMA_API_KEY",),
        needs_key=False,
        # beside a format its models call no tool (ollama/ollama#11185), and none can be forced
        way=lambda model, tools: "text" if tools else "schema",
        base_variable="OLLAMA_HOST",
        free=True,
        top_logprobs=20,
    ),
    Endpoint(
        "openrouter",
        "https://openrouter.ai/api/v1",
        _CHAT,
        openai_chat.OPENROUTER,
        ("OPENROUTER_API_KEY",),
        "https://openrouter.ai/settings/keys",
        base_variable="OPENROUTER_BASE_URL",
        tells_cost=True,
        flavour="strict",
        top_logprobs=20,
    ),
    Endpoint(
        "deepseek",
        "https://api.deepseek.com",
        _CHAT,
        openai_chat.DEEPSEEK,
        ("DEEPSEEK_API_KEY",),
        "https://platform.deepseek.com/api_keys",
        base_variable="DEEPSEEK_BASE_URL",
        way=_tool,
        top_logprobs=20,
    ),
    Endpoint(
        "xai",
        "https://api.x.ai/v1",
        _CHAT,
        openai_chat.XAI,
        ("XAI_API_KEY",),
        "https://console.x.ai",
        base_variable="XAI_BASE_URL",
        flavour="strict",
        top_logprobs=8,
    ),
    Endpoint(
        "together",
        "https://api.together.xyz/v1",
        _CHAT,
        openai_chat.TOGETHER,
        ("TOGETHER_API_KEY",),
        "https://api.together.ai/settings/api-keys",
        base_variable="TOGETHER_BASE_URL",
    ),
    Endpoint(
        "compatible",
        "",
        _CHAT,
        openai_chat.COMPATIBLE,
        ("COMPATIBLE_API_KEY",),
        needs_key=False,
        base_variable="COMPATIBLE_BASE_URL",
        tells_cost=True,
        top_logprobs=20,
    ),
    *(
        Endpoint(
            name,
            address,
            _CHAT,
            openai_chat.COMPATIBLE,
            (),
            needs_key=False,
            base_variable=variable,
            free=True,
            top_logprobs=20,
        )
        for name, address, variable in (
            ("vllm", "http://127.0.0.1:8000/v1", "VLLM_BASE_URL"),
            ("llamacpp", "http://127.0.0.1:8080/v1", "LLAMACPP_BASE_URL"),
            ("lmstudio", "http://127.0.0.1:1234/v1", "LMSTUDIO_BASE_URL"),
        )
    ),
)
ENDPOINTS: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in _ALL}


def __getattr__(name: str) -> Callable[..., HttpModel]:
    """`open_openai` opens a model of the endpoint of that name."""
    provider = name.removeprefix("open_").replace("_", "-")
    endpoint = ENDPOINTS.get(provider)
    if endpoint is None:
        raise AttributeError(name)
    return partial(open_at, endpoint)
