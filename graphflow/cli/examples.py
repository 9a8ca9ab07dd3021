"""What `--help` shows below the options of each command: one to three lines to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[str]] = {
    # -- graphs ------------------------------------------------------------------------------------
    "run": (
        "graphflow run desk inbox.csv",
        "graphflow run shop.yaml --set question='Do you have tea?' --limit usd=0.5 --json",
        "graphflow run summary --input-file report.txt --record said.jsonl",
    ),
    "chat": (
        "graphflow chat companion --conversation me",
        "printf 'Hello\\nWhat is my name?\\n' | graphflow chat companion --model mock:echo",
    ),
    "check": ("graphflow check desk", "graphflow check shop.yaml --strict"),
    "prove": (
        "graphflow prove desk",
        "graphflow prove shop.py 'Before(review, send)' --picture walk.svg",
    ),
    "bounds": ("graphflow bounds desk",),
    "draw": (
        "graphflow draw desk",
        "graphflow draw desk desk.svg --open all --legend",
        "graphflow draw desk walk.svg --events walk.jsonl",
    ),
    "diff": (
        "graphflow diff shop.yaml shop_new.yaml --draw both.svg",
        "graphflow diff desk-3f9a1c07 desk-90b2e5d1",
    ),
    "report": ("graphflow report walk.jsonl --graph desk -o walk.html",),
    "list": ("graphflow list",),
    "schema": ("graphflow schema -o graphs/graph.schema.json",),
    "mcp": ("graphflow mcp desk research", "graphflow mcp desk --http 8080 --token-file token"),
    # -- runs --------------------------------------------------------------------------------------
    "runs": ("graphflow runs --status waiting", "graphflow runs --graph desk --since 2h --json"),
    "budgets": ("graphflow budgets", "graphflow budgets --json"),
    "usage": ("graphflow usage --by model --since 30d", "graphflow usage --chart"),
    "show": (
        "graphflow show",
        "graphflow show desk-3f9a1c07 --steps",
        "graphflow show desk-3f9a1c07 --why reply",
    ),
    "resume": ("graphflow resume", "graphflow resume desk-3f9a1c07 --limit steps=500"),
    "answer": (
        "graphflow answer",
        "graphflow answer desk-3f9a1c07 boss true --resume",
    ),
    "replay": ("graphflow replay desk-3f9a1c07",),
    "fork": (
        "graphflow fork desk-3f9a1c07 --at draft",
        "graphflow fork desk-3f9a1c07 --prompt 'draft=Shorter: {{ text }}'",
    ),
    "export": ("graphflow export desk-3f9a1c07 desk.jsonl",),
    "prune": ("graphflow prune --older-than 30d --keep 20",),
    "delete": ("graphflow delete desk-3f9a1c07",),
    # -- projects ----------------------------------------------------------------------------------
    "new": ("graphflow new shop", "graphflow new mine --from desk"),
    "test": (
        "graphflow test",
        "graphflow test greeting --json",
        "graphflow test --record greeting 'Hello there' --model openai:gpt-5-mini",
    ),
    "config": ("graphflow config --all", "graphflow --env prod config"),
    "doctor": ("graphflow doctor", "graphflow doctor --online --json"),
    "plugins": ("graphflow plugins", "graphflow plugins --json"),
    "dev": ("graphflow dev", "graphflow dev --once"),
    # -- the rest ----------------------------------------------------------------------------------
    "models": ("graphflow models", "graphflow models --ping openai:gpt-5-mini"),
    "models pull": ("graphflow models pull smollm2",),
    "keys": ("graphflow keys new",),
    "keys new": ("graphflow keys new > graphflow.key",),
    "keys encrypt": ("graphflow keys encrypt --into sqlite:sealed.db --key env:GRAPHFLOW_KEY",),
    "keys rotate": ("graphflow keys rotate --to file:new.key",),
    "completion": (
        "graphflow completion bash >> ~/.bashrc",
        "graphflow completion zsh >> ~/.zshrc",
        "graphflow completion fish > ~/.config/fish/completions/graphflow.fish",
    ),
}
"""Examples by command; of a command in a group, by both names."""


def epilog_of(command: str) -> str:
    """What stands below the options of a command."""
    lines = [f"  {line}" for line in EXAMPLES[command]]
    # With \\b in front, the lines stay as they are.
    return "\n".join(["\b", "Examples:", *lines])
