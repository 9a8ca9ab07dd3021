"""Pictures of a graph: DOT, Mermaid, SVG, PNG. The only place that knows graphviz.

Rules:
1. A picture never fails for want of a program: `dot` is looked for in $GRAPHFLOW_DOT, on the PATH, and as
   graphviz-pure beside this Python; without any, there is Mermaid.
2. Names and types are data: escaped, never markup.
3. Colours have six digits: Debian's dot 2.43 draws three-digit ones black.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from graphflow.carries import Declared
from graphflow.errors import DeclarationError, FileUnreadable, MissingExtra
from graphflow.graph import Graph
from graphflow.handoffs import HandTo
from graphflow.messages import type_name
from graphflow.nodes import Node

SHAPES = {
    "step": ("box", "#e8eef7"),
    "tool": ("component", "#e6f4ea"),
    "agent": ("box", "#fdf0d5"),
    "router": ("diamond", "#f6e3ee"),
    "sub-agent": ("box3d", "#fdf0d5"),
    "graph": ("box3d", "#e9e6f5"),
    "code": ("component", "#e3eef6"),
    "skills": ("note", "#f3f0e4"),
    "human": ("house", "#fbe4e0"),
    "server": ("cylinder", "#e6f4ea"),
}
LONG = 28
"""Characters of a label before it is wrapped."""


def dot_binary() -> str | None:
    """The program that lays DOT out, or None."""
    named = os.environ.get("GRAPHFLOW_DOT")
    if named:
        return named if shutil.which(named) else None
    found = shutil.which("dot")
    if found:
        return found
    pure = Path(sysconfig.get_path("scripts")) / ("graphviz-pure.exe" if os.name == "nt" else "graphviz-pure")
    return str(pure) if pure.is_file() else shutil.which("graphviz-pure")


def to_dot(graph: Graph[Any, Any]) -> str:
    """The graph as DOT text: kinds by shape and colour, types on flow edges, call edges dashed."""
    import graphviz

    dot = graphviz.Digraph(graph.name)
    dot.attr(rankdir="TB", fontname="Helvetica", nodesep="0.35", ranksep="0.5", bgcolor="#ffffff")
    dot.attr("node", fontname="Helvetica", fontsize="11", style="filled,rounded", color="#5b6770", fillcolor="#ffffff")
    dot.attr("edge", fontname="Helvetica", fontsize="9", color="#5b6770", fontcolor="#444c52", arrowsize="0.7")
    ids = _ids(graph)
    for name, node in _drawn(graph).items():
        shape, fill = SHAPES.get(node.kind, ("box", "#ffffff"))
        style = "filled" if shape in ("component", "box3d", "house", "note") else "filled,rounded"
        dot.node(
            ids[name], _escape(_wrapped(name)), shape=shape, fillcolor=fill, style=style, tooltip=_escape(repr(node))
        )
    for end, fill in (("START", "#333d44"), ("END", "#333d44")):
        dot.node(
            ids[end],
            end,
            shape="circle",
            fillcolor=fill,
            fontcolor="#ffffff",
            style="filled",
            fontsize="9",
            width="0.5",
            fixedsize="true",
        )
    for declared in graph._proof.edges:
        edge = declared.edge
        style = "dotted" if isinstance(edge.origin.arm, HandTo) else "solid"
        label = _escape(f" {label_of(declared, graph)} ")
        dot.edge(ids[edge.origin.node.name], ids[edge.target.name], label=label, style=style)
    for caller, callees in graph.program.callees.items():
        for callee in callees:
            if caller in ids:
                dot.edge(ids[caller], ids[callee.name], style="dashed", arrowhead="vee", color="#8a949b")
    source: str = dot.source
    return source


def to_mermaid(graph: Graph[Any, Any]) -> str:
    """The graph as a Mermaid flowchart."""
    ids = _ids(graph)
    lines = ["flowchart TD"]
    open_close = {
        "router": ("{{", "}}"),
        "tool": ("[/", "/]"),
        "graph": ("[[", "]]"),
        "sub-agent": ("[[", "]]"),
        "agent": ("(", ")"),
    }
    for name, node in _drawn(graph).items():
        left, right = open_close.get(node.kind, ("[", "]"))
        lines.append(f'    {ids[name]}{left}"{_mermaid(name)}"{right}')
    lines += [f'    {ids["START"]}(("START"))', f'    {ids["END"]}(("END"))']
    for declared in graph._proof.edges:
        edge = declared.edge
        text = _mermaid(label_of(declared, graph))
        arrow = "-.->" if isinstance(edge.origin.arm, HandTo) else "-->"
        lines.append(f'    {ids[edge.origin.node.name]} {arrow}|"{text}"| {ids[edge.target.name]}')
    for caller, callees in graph.program.callees.items():
        lines += [f"    {ids[caller]} -.-> {ids[callee.name]}" for callee in callees if caller in ids]
    return "\n".join(lines) + "\n"


def draw(graph: Graph[Any, Any], path: str) -> str:
    """Writes a picture and returns its path; the ending says which kind.

    Raises:
        DeclarationError: the ending is none of .svg, .png, .pdf, .dot, .mmd.
        MissingExtra: .svg, .png or .pdf, and there is no program that draws them.
    """
    ending = Path(path).suffix.lower()
    if ending in (".mmd", ".mermaid"):
        _write(path, to_mermaid(graph).encode())
    elif ending in (".dot", ".gv"):
        _write(path, to_dot(graph).encode())
    elif ending in (".svg", ".png", ".pdf"):
        _write(path, rendered(to_dot(graph), ending[1:]))
    else:
        raise DeclarationError(f"draw({path!r}): the ending says what to write; use .svg, .png, .pdf, .dot or .mmd")
    return path


def rendered(source: str, kind: str) -> bytes:
    """DOT text as a picture's bytes."""
    binary = dot_binary()
    if binary is None:
        raise MissingExtra(f"drawing {kind.upper()}", "dot", "or install graphviz; .mmd and .dot need neither")
    done = subprocess.run([binary, f"-T{kind}"], input=source.encode(), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        raise FileUnreadable(
            f"{binary} could not draw {kind.upper()}: {why[-1] if why else 'no output'}; use .svg, .dot or .mmd"
        )
    return done.stdout


def mimebundle(graph: Graph[Any, Any]) -> dict[str, str]:
    """What a notebook shows: SVG, or Mermaid where nothing can draw; never both, for JupyterLab would choose Mermaid."""
    bundle = {"text/plain": repr(graph)}
    if dot_binary() is not None:
        bundle["image/svg+xml"] = rendered(to_dot(graph), "svg").decode()
    else:
        bundle["text/vnd.mermaid"] = to_mermaid(graph)
    return bundle


def label_of(declared: Declared, graph: Graph[Any, Any]) -> str:
    """What an edge carries: its arm or label, `each`, guard, laps."""
    origin = declared.edge.origin
    if isinstance(origin.arm, HandTo):
        told = [f"hand over {' | '.join(type_name(k) for k in declared.carries)}"]
        told += ["conversation"] if origin.arm.handoff.conversation else []
        return ", ".join(
            [*told, *([f"at most {graph._proof._laps(declared)} laps"] if declared.lap_of is not None else [])]
        )
    parts = [repr(origin.arm)] if isinstance(origin.arm, str) else [" | ".join(type_name(k) for k in declared.carries)]
    if origin.each:
        parts.insert(0, "each")
    if origin.guard is not None:
        parts.append(
            "otherwise"
            if origin.guard == "otherwise"
            else f"when {getattr(origin.guard, '__name__', '')}".replace("<lambda>", "...")
        )
    if declared.lap_of is not None:
        parts.append(f"at most {graph._proof._laps(declared)} laps")
    if declared.collects:
        parts.append("collect")
    return ", ".join(parts)


def _drawn(graph: Graph[Any, Any]) -> dict[str, Node[Any, Any]]:
    nodes = {node.name: node for node in graph.nodes}
    for callees in graph.program.callees.values():
        for callee in callees:
            nodes.setdefault(callee.name, callee)
    return nodes


def _ids(graph: Graph[Any, Any]) -> dict[str, str]:
    names = [*_drawn(graph), "START", "END"]
    return {name: f"n{number}" for number, name in enumerate(names)}


def _wrapped(text: str) -> str:
    if len(text) <= LONG:
        return text
    words = re.split(r"(?<=[_\-. ])", text)
    lines = [""]
    for word in words:
        while len(word) > LONG:
            lines.append(word[:LONG])
            word = word[LONG:]
        if len(lines[-1]) + len(word) > LONG:
            lines.append("")
        lines[-1] += word
    return "\n".join(line for line in lines if line)[: LONG * 12]


def _escape(text: str) -> str:
    """Text that DOT shows as it is: its own escapes and HTML-like labels are taken away."""
    import graphviz

    shown = "".join(c if c == "\n" or c.isprintable() else " " for c in text[:2000])
    escaped: str = graphviz.escape(shown)
    literal: str = graphviz.nohtml(escaped.replace("\n", "\\n"))
    return literal


def _mermaid(text: str) -> str:
    """Text that Mermaid shows as it is; its entities are written #35; and so on."""
    shown = " ".join(_wrapped(text).split("\n")) if len(text) > LONG * 4 else text
    return "".join(
        c if c.isalnum() or c in " _-.,:()|" else f"#{ord(c)};" for c in shown if c.isprintable() or c == " "
    )


def _write(path: str, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None
