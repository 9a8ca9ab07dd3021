"""Files below one folder: what is reached, what never is, and that bytes stay as they were."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import Policy, ToolError
from graphflow.errors import DeclarationError
from nodes.tools import files as module
from nodes.tools.files import files
from tests.effort import soon
from tests.library.using import asked, named, refusal, use

SECRET = "SECRET-OUTSIDE"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret.txt").write_text(SECRET)
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    (inside / "a.txt").write_text("one\ntwo\nthree\n")
    (inside / "sub" / "b.py").write_text("def two():\n    return 2\n")
    return inside


def tools(root: Path, **options: Any) -> dict[str, Any]:
    return named(files(root, write=True, **options))


# -- in a walk -------------------------------------------------------------------------------------
def test_a_model_reads_writes_and_edits(root: Path) -> None:
    have = files(root, write=True)
    assert asked(have, "read_file", path="a.txt") == (True, "1\tone\n2\ttwo\n3\tthree")
    assert asked(have, "edit_file", path="a.txt", old="two", new="2") == (
        True,
        "a.txt: replaced 1 at line 2",
    )
    assert asked(have, "write_file", path="new/c.txt", content="hello")[0]
    assert (root / "new" / "c.txt").read_text() == "hello"
    assert asked(have, "list_files", recursive=True, pattern="*.txt") == (
        True,
        "a.txt  12\nnew/c.txt  5",
    )
    assert asked(have, "grep_files", pattern="ret.rn") == (True, "sub/b.py:2:     return 2")


def test_what_leads_out_is_an_error_that_a_model_can_act_on(root: Path) -> None:
    ok, text = asked(files(root), "read_file", path="../out/secret.txt")
    assert not ok
    assert "below the root" in text
    assert SECRET not in text


def test_arguments_have_bounds(root: Path) -> None:
    assert "greater than or equal to 1" in asked(files(root), "read_file", path="a.txt", start=0)[1]
    assert "at least 1 character" in asked(files(root), "read_file", path="")[1]


def test_without_write_nothing_can_be_written(root: Path) -> None:
    assert set(named(files(root))) == {"read_file", "list_files", "grep_files"}
    assert all(tool.effects == {"reads"} for tool in files(root))
    refused = Policy(effects=["reads"]).refuses
    assert [t.name for t in files(root, write=True) if refused(t.name, t.effects)] == [
        "write_file",
        "edit_file",
    ]


def test_a_root_that_is_no_folder_is_a_mistake_of_the_declaration(root: Path) -> None:
    for wrong in (root / "a.txt", root / "none"):
        with pytest.raises(DeclarationError, match="is not a folder"):
            files(wrong)


# -- nothing outside -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path",
    [
        "../out/secret.txt",
        "sub/../../out/secret.txt",
        "/etc/passwd",
        "link.txt",
        "links/secret.txt",
        "sub/up/out/secret.txt",
        "a\0.txt",
        ".hidden",
        ".git/config",
        "sub/.git/hooks/x",
        "a.txt/x",
        "x" * 300,
        "\udcff",
        "sub",
        ".",
        "/",
        "pipe",
        "socket",
        "loop",
    ],
)
def test_paths_that_are_refused_for_reading_and_for_writing(
    root: Path, path: str, monkeypatch: Any
) -> None:
    (root / "link.txt").symlink_to(root.parent / "out" / "secret.txt")
    (root / "links").symlink_to(root.parent / "out")
    (root / "sub" / "up").symlink_to("../..")
    (root / "loop").symlink_to("loop")
    (root / ".hidden").write_text(SECRET)
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        before, have = snapshot(root.parent), tools(root)
        for call in (
            lambda: have["read_file"].function(path),
            lambda: have["write_file"].function(path, "x"),
            lambda: have["edit_file"].function(path, SECRET, "x"),
        ):
            with pytest.raises(ToolError) as caught:
                call()
            assert SECRET not in str(caught.value)
        assert snapshot(root.parent) == before


def test_an_absolute_path_below_the_root_is_a_path_below_the_root(root: Path) -> None:
    assert "one" in use(tools(root)["read_file"], path=str(root / "a.txt"))
    assert "outside" in refusal(tools(root)["read_file"], path=str(root) + "x/a.txt")


def test_hidden_files_are_reached_when_asked_for_and_git_never_is(root: Path) -> None:
    (root / ".env").write_text("KEY=1")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("KEY=2")
    assert ".env" not in use(tools(root)["list_files"])
    assert "no line" in use(tools(root)["grep_files"], pattern="KEY")
    open_ = tools(root, hidden=True)
    assert use(open_["grep_files"], pattern="KEY") == ".env:1: KEY=1"
    for path in (".git/config", ".GIT/config"):
        assert "out of reach" in refusal(open_["write_file"], path=path, content="x")


def test_a_folder_that_becomes_a_link_in_the_middle_of_it_leads_nowhere(root: Path) -> None:
    """The race that a check before the use would lose: `d` is a folder and a link to the outside, in turns."""
    (root / "d1").mkdir()
    (root / "d1" / "secret.txt").write_text("inside")
    (root / "d2").symlink_to(root.parent / "out")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for real in ("d1", "d2"):
                try:
                    os.rename(root / real, root / "d")
                    os.rename(root / "d", root / real)
                # A write made a folder `d` of its own in the moment that there was none.
                except OSError:
                    shutil.rmtree(root / "d", ignore_errors=True)

    thread = threading.Thread(target=swap)
    thread.start()
    have, seen = tools(root), set()
    try:
        for number in range(1500):
            for call in (
                lambda: have["read_file"].function("d/secret.txt"),
                lambda n=number: (
                    have["write_file"].function("d/new.txt", str(n)) if n % 10 == 0 else ""
                ),
            ):
                try:
                    seen.add(call()[:8])
                except ToolError as error:
                    seen.add(str(error)[:8])
    finally:
        stop.set()
        thread.join()
    assert not any(SECRET[:6] in each for each in seen)
    assert sorted(p.name for p in (root.parent / "out").iterdir()) == ["secret.txt"]


names = st.sampled_from(["a", "b", "c", "..", ".", "", "s", "out", "secret.txt", ".git", "a.txt"])
paths = st.builds(
    lambda top, parts: top + "/".join(parts),
    st.sampled_from(["", "", "/"]),
    st.lists(names, max_size=5),
)
inner = st.lists(st.sampled_from(["a", "b", "c", "s", "a.txt"]), min_size=1, max_size=3).map(
    "/".join
)
things = st.lists(
    st.tuples(
        inner,
        st.sampled_from(["folder", "file", "link", "fifo"]),
        st.sampled_from(["..", "../..", "../out", "/", "a"]),
    ),
    max_size=8,
)


def snapshot(folder: Path) -> dict[str, Any]:
    """Everything below a folder, with its content; links and special files by what they are."""
    found: dict[str, Any] = {}
    for above, folders, names in os.walk(folder):
        for name in folders + names:
            path = os.path.join(above, name)
            mode = os.lstat(path).st_mode
            found[path] = Path(path).read_bytes() if stat.S_ISREG(mode) else stat.S_IFMT(mode)
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(things, st.lists(paths, min_size=1, max_size=4))
def test_nothing_outside_is_ever_read_or_written(
    tree: list[tuple[str, str, str]], tried: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for each in ("out", "in"):
            (top / each).mkdir()
        (top / "out" / "secret.txt").write_text(SECRET)
        for where, kind, target in tree:
            place = top / "in" / where
            if os.path.lexists(place) or any(p.is_symlink() for p in place.parents):
                continue
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                if kind == "folder":
                    place.mkdir()
                elif kind == "file":
                    place.write_text("inside")
                elif kind == "fifo":
                    os.mkfifo(place)
                else:
                    place.symlink_to(target)
            except OSError:
                continue
        outside = snapshot(top / "out")
        links = {p: os.readlink(p) for p in (top / "in").rglob("*") if p.is_symlink()}
        have = tools(top / "in", hidden=True)
        for path in [*tried, *(f"{p.relative_to(top / 'in')}/secret.txt" for p in links)]:
            told = [
                attempt(have["list_files"], path, recursive=True),
                attempt(have["read_file"], path),
                attempt(have["grep_files"], SECRET, path),
                attempt(have["write_file"], path, "written"),
                attempt(have["edit_file"], path, SECRET, "gone"),
            ]
            assert not any(
                f"{SECRET}\n" in f"{text}\n" and "no line" not in text for text in told[:2]
            )
            assert ":1:" not in told[2]
        assert snapshot(top / "out") == outside
        assert {p.name for p in top.iterdir()} == {"in", "out"}
        assert all(os.readlink(p) == target for p, target in links.items())


def attempt(tool: Any, *arguments: Any, **named_: Any) -> str:
    try:
        return str(tool.function(*arguments, **named_))
    except ToolError as error:
        return str(error)


# -- reading ---------------------------------------------------------------------------------------
def test_a_range_of_lines_says_what_it_is_of(root: Path) -> None:
    read = tools(root)["read_file"]
    assert use(read, path="a.txt", start=2, lines=1) == "2\ttwo\n[lines 2 to 2 of 3]"
    assert "none from line 4" in refusal(read, path="a.txt", start=4)
    (root / "empty").write_text("")
    assert use(read, path="empty") == "[empty is empty]"


def test_binary_and_other_encodings_are_told_as_such(root: Path) -> None:
    read = tools(root)["read_file"]
    (root / "x.png").write_bytes(b"\x89PNG\0\0")
    (root / "latin.txt").write_bytes("größe".encode("latin-1"))
    (root / "bom.txt").write_bytes("\ufeffhi".encode())
    assert "binary file of 6 bytes" in refusal(read, path="x.png")
    assert "not UTF-8: byte 0xf6 at 2" in refusal(read, path="latin.txt")
    assert use(read, path="bom.txt") == "1\thi"


def test_large_files_are_refused_before_they_fill_the_memory(root: Path) -> None:
    with open(root / "huge", "wb") as file:
        file.truncate(10 * 2**30)
    have = tools(root, file_limit=1000)
    with soon(pieces=400):  # ten gigabytes that are read take more
        assert "more than 1000 bytes" in refusal(have["read_file"], path="huge")
        assert "no line" in use(have["grep_files"], pattern="x.y")
    assert "more than 1000" in refusal(have["write_file"], path="big", content="é" * 501)
    assert not (root / "big").exists()


def test_long_lines_are_cut_and_say_so(root: Path) -> None:
    (root / "long").write_text("x" * 5000)
    assert use(tools(root)["read_file"], path="long").endswith("[and 3000 more characters]")


def test_a_long_listing_is_cut_and_says_so(root: Path) -> None:
    assert (
        use(tools(root)["list_files"], most=1)
        == "a.txt  14\n[the first 1; there are more: narrow the folder or the pattern]"
    )
    assert use(tools(root)["list_files"], folder="sub") == "sub/b.py  24"
    assert use(tools(root)["list_files"], pattern="sub/*", recursive=True) == "sub/b.py  24"
    assert "nothing like" in use(tools(root)["list_files"], pattern="*.rs")


def test_a_tree_that_is_too_large_is_refused_not_waited_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    assert "too much" in refusal(tools(root)["list_files"], recursive=True)


def test_names_that_are_no_utf8_or_have_newlines_cannot_pretend(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/bad\xff")).write_text("x")
    (root / "a\nb").write_text("x")
    assert asked(files(root), "list_files")[1].splitlines()[:3] == [
        "a\\x0ab  1",
        "a.txt  14",
        "bad\\xff  1",
    ]


def test_a_search_is_cut_and_a_pattern_that_never_ends_is_stopped(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MATCHING_S", 0.5)
    grep = tools(root)["grep_files"]
    assert "first 1 lines" in use(grep, pattern="t", most=1)
    assert use(grep, pattern="TWO", ignore_case=True, files="*.txt") == "a.txt:2: two"
    assert use(grep, pattern="two", folder="sub/b.py") == "sub/b.py:1: def two():"
    (root / "victim").write_text("a" * 60 + "b")
    ok, text = asked(files(root), "grep_files", pattern="(a+)+$")
    assert not ok
    assert "took longer than 0.5 s" in text


# -- writing ---------------------------------------------------------------------------------------
def test_a_write_keeps_the_mode_and_leaves_nothing_beside(root: Path) -> None:
    os.chmod(root / "a.txt", 0o751)
    use(tools(root)["write_file"], path="a.txt", content="new")
    assert stat.S_IMODE(os.stat(root / "a.txt").st_mode) == 0o751
    assert sorted(os.listdir(root)) == ["a.txt", "sub"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refusal(tools(root)["write_file"], path="a.txt", content="new")
    assert (root / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert sorted(os.listdir(root)) == ["a.txt", "sub"]


def test_readers_never_see_a_part(root: Path) -> None:
    write, stop, seen = tools(root)["write_file"], threading.Event(), set()

    def reader() -> None:
        while not stop.is_set():
            seen.add((root / "a.txt").read_text()[:1] + str(len((root / "a.txt").read_text())))

    write.function("a.txt", "x" * 100_000)
    thread = threading.Thread(target=reader)
    thread.start()
    for letter in "yxyxyxyx" * 5:
        write.function("a.txt", letter * 100_000)
    stop.set()
    thread.join()
    assert seen <= {"x100000", "y100000"}


def test_newlines_stay_as_they_were(root: Path) -> None:
    (root / "win.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    have = tools(root)
    use(have["edit_file"], path="win.txt", old="one\ntwo", new="1\n2")
    assert (root / "win.txt").read_bytes() == b"\xef\xbb\xbf1\r\n2\r\n"
    use(have["write_file"], path="win.txt", content="a\nb\n")
    assert (root / "win.txt").read_bytes() == b"a\r\nb\r\n"
    (root / "mixed.txt").write_bytes(b"one\r\ntwo\nthree\rfour")
    use(have["edit_file"], path="mixed.txt", old="two", new="2")
    assert (root / "mixed.txt").read_bytes() == b"one\r\n2\nthree\rfour"


def test_an_edit_that_is_not_unique_says_where(root: Path) -> None:
    (root / "c").write_text("x = 1\ny = 2\nx = 1\n")
    edit = tools(root)["edit_file"]
    assert "2 times (lines 1, 3)" in refusal(edit, path="c", old="x = 1", new="x = 2")
    assert use(edit, path="c", old="x = 1", new="x = 2", every=True) == "c: replaced 2 at line 1"
    (root / "d").write_text("aaa")
    assert "2 times" in refusal(edit, path="d", old="aa", new="b")


def test_an_edit_that_is_not_there_names_the_nearest_line(root: Path) -> None:
    edit = tools(root)["edit_file"]
    assert "line 1: 'def two():'" in refusal(edit, path="sub/b.py", old="def twoo():", new="x")
    assert "read the file again" in refusal(edit, path="sub/b.py", old="#########", new="x")


def test_an_edit_everywhere_is_measured_before_it_is_made(root: Path) -> None:
    """Five million places times five million characters: no memory holds that."""
    (root / "many.txt").write_text("a" * 1_000_000)
    edit = tools(root)["edit_file"]
    tracemalloc.start()
    assert "more than" in refusal(edit, path="many.txt", old="a", new="b" * 1_000_000, every=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000
    assert (root / "many.txt").read_text() == "a" * 1_000_000
    assert "replaced 1000000" in use(edit, path="many.txt", old="a", new="", every=True)


def test_lines_that_are_all_alike_are_compared_for_a_moment_only(root: Path) -> None:
    (root / "alike.txt").write_text("\n".join("a" * 199 + chr(98 + n % 20) for n in range(20_000)))
    with soon():
        told = refusal(tools(root)["edit_file"], path="alike.txt", old="a" * 198 + "zz", new="x")
    assert "the nearest to its first line is line" in told


def test_half_characters_are_refused(root: Path) -> None:
    with pytest.raises(ToolError, match="half a character"):
        tools(root)["write_file"].function("a.txt", "x\ud800")
    with pytest.raises(ToolError, match="half a character"):
        tools(root)["edit_file"].function("a.txt", "one", "x\ud800")
    assert (root / "a.txt").read_text() == "one\ntwo\nthree\n"


letters = st.text(alphabet="ab\n\r é\u2028", max_size=30)


@settings(max_examples=80, deadline=None)
@given(letters, letters.filter(bool), letters)
def test_an_edit_is_exact_or_changes_nothing(text: str, old: str, new: str) -> None:
    """With newlines of one kind only; that CRLF stays CRLF is shown above."""
    text, old, new = (each.replace("\r", "") for each in (text, old, new))
    if not old:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(text.encode())
        places = [i for i in range(len(text)) if text.startswith(old, i)]
        told = attempt(tools(Path(folder))["edit_file"], "f", old, new)
        if len(places) == 1:
            assert (
                path.read_bytes()
                == (text[: places[0]] + new + text[places[0] + len(old) :]).encode()
            )
        else:
            assert path.read_bytes() == text.encode()
            assert "times" in told or "does not have" in told
