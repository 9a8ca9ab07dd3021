"""ReAct: a model thinks, calls a tool, looks at the result, and so on until it knows the answer.

After Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models" (2022), arXiv:2210.03629. In graphflow an agent
with tools is that loop; its tools hang on it by call edges, and `max_turns` bounds it. This file is the smallest useful agent:
copy it, and put your own tools in.

    graphflow run react "How many days are there between 2024-02-10 and 2024-03-01, times 24?" --model openai:gpt-5-mini
    graphflow run react "Which files in this folder mention a licence?" --model anthropic:claude-sonnet-4-5

It wants a model that calls tools. The embedded ones are too small: the largest (`graphflow models pull qwen2.5-coder-1.5b`) does
a simple sum now and then, smollm2 makes nonsense of it.
"""

from __future__ import annotations

from graphflow import END, START, Agent, Graph, Limits
from nodes.tools.calculator import calculate
from nodes.tools.dates import between_dates
from nodes.tools.files import files

read_file, list_files, grep_files = files(".")
"""Below the folder it is started in, and read only; files(".", write=True) has two more."""

thinker = Agent(
    "thinker",
    input=str,
    system="Answer the question. Think step by step, use the tools for whatever you cannot know, and say the answer at last.",
    tools=[calculate, between_dates, list_files, grep_files, read_file],
    # The loop ends with an answer; this ends it for a model that never gives one.
    max_turns=12,
    description="Answers questions with tools.",
)

react: Graph[str, str] = Graph(
    "react",
    START >> thinker >> END,
    model="local:qwen2.5-coder-1.5b",
    limits=Limits(depth=1, steps=60, model_calls=12, tool_calls=40, seconds=300),
    description="An agent with tools in a loop: calculates, counts days, reads the files of this folder.",
)
