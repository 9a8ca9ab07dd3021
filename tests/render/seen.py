"""What the tests of pictures share: what is in an SVG, read by a real XML parser, and that nothing in it can do harm."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from graphflow.render import dot_binary

SVG = "{http://www.w3.org/2000/svg}"
HARMLESS = {"svg", "g", "title", "desc", "style", "text", "path", "polygon", "polyline", "ellipse"}


@dataclass
class Seen:
    """Nodes, edges and areas of one SVG."""

    nodes: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, path, name."""
    edges: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Path, number, source, target."""
    areas: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    """What a walk did, by name of the node or "source>target"."""
    texts: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """All of it as text, sorted: what is kept as golden."""
        told = [f"node {kind} {path}: {name}" for kind, path, name in self.nodes]
        told += [
            f"edge {path}: {number} {source} > {target}"
            for path, number, source, target in self.edges
        ]
        return sorted([*told, *(f"area {path}" for path in self.areas)])


def read(svg: str) -> Seen:
    """What is in an SVG; fails if anything in it could do harm, or is outside of it."""
    assert "<!DOCTYPE" not in svg
    assert "<!ENTITY" not in svg
    seen = Seen()
    for element in ElementTree.fromstring(svg).iter():
        name = element.tag.removeprefix(SVG)
        assert name in HARMLESS, name
        for attribute, value in element.attrib.items():
            assert not attribute.lower().startswith("on"), attribute
            assert "href" not in attribute.lower(), attribute
            if attribute in ("fill", "stroke"):
                assert re.fullmatch(r"#[0-9a-f]{6}|none|black|transparent", value), value
        if name == "style":
            assert not re.search(r"url\(|@import|expression|</", element.text or "")
        if name == "text":
            seen.texts.append(element.text or "")
        if name == "title":
            seen.titles.append(element.text or "")
        if "id" in element.attrib:
            seen.ids.append(element.attrib["id"])
        _note(seen, element)
    assert len(set(seen.ids)) == len(seen.ids)
    return seen


def _note(seen: Seen, element: ElementTree.Element) -> None:
    kinds = element.attrib.get("class", "").split()
    data = {
        key.removeprefix("data-"): value
        for key, value in element.attrib.items()
        if key.startswith("data-")
    }
    marks = [kind.removeprefix("gf-") for kind in kinds[2:]]
    if "cluster" in kinds and "node" in data:
        seen.areas.append(data["node"])
        seen.marks.update((data["node"], mark) for mark in marks)
    elif "node" in kinds and "node" in data:
        seen.nodes.append((kinds[1].removeprefix("gf-"), data["path"], data["node"]))
        seen.marks.update((data["node"], mark) for mark in marks)
    elif "edge" in kinds and "edge" in data:
        seen.edges.append((data["path"], data["edge"], data["source"], data["target"]))
        seen.marks.update((f"{data['source']}>{data['target']}", mark) for mark in marks)


def laid_out(source: str) -> None:
    """Every program that lays DOT out takes this text."""
    programs = dict.fromkeys(filter(None, (dot_binary(), shutil.which("dot"))))
    assert programs
    for program in programs:
        done = subprocess.run(
            [program, "-Tsvg"], input=source.encode(), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-500:]
        assert b"syntax error" not in done.stderr


GOLDEN = Path(__file__).parent / "golden"
