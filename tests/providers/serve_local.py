"""The embedded model behind its own OpenAI-compatible server: prints its address, and ends when its input does.

The template is ChatML with the tools in the system text and calls as JSON: the model's own template drops both in silence.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

TEMPLATE = """{%- for m in messages %}{%- if loop.first and m.role != 'system' and tools %}<|im_start|>system
You may call tools: {{ tools | tojson }}<|im_end|>
{% endif %}<|im_start|>{{ m.role }}
{{ m.content if m.content else '' }}{% if m.role == 'system' and tools %}
You may call tools: {{ tools | tojson }}{% endif %}{% if m.tool_calls %}{% for c in m.tool_calls %}\
{{ {"name": c.function.name, "arguments": c.function.arguments} | tojson }}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def main() -> None:
    import xllamacpp as xlc

    params = xlc.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = 2048
    params.n_parallel = 1
    params.warmup = False
    params.ui = False
    params.verbosity = 0
    params.api_keys = [sys.argv[2]]
    params.cpuparams.n_threads = 1
    params.use_jinja = True
    params.chat_template = TEMPLATE
    server = xlc.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
