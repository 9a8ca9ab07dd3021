"""The nodes that come with graphflow, ready to use: `from graphflow.library.tools.calculator import calculate`.

    graphflow.library.tools        calculator, dates, fetch, files, json_query, page, shell, sql, text, ...
    graphflow.library.agents       graphflow.library.routers   graphflow.library.steps   graphflow.library.subagents

They are the files of `nodes/`: those of the checkout, or the copy in the wheel. So they have one name wherever a program
runs, and a project's own `nodes` are never in their way.
"""

from __future__ import annotations

from graphflow.files.project_modules import shipped_root

_nodes = shipped_root() / "nodes"
# Below here, Python finds them as it finds the modules of any package.
__path__.append(str(_nodes))
