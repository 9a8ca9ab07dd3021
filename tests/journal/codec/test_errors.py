"""Errors through a record: class, text, fields and causes come back, and nothing but data is in between."""

from __future__ import annotations

import asyncio
import builtins
import gc
import json
from collections.abc import Iterator
from typing import Any

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from graphflow import errors
from graphflow.declaration.options import Retry
from graphflow.errors import GraphflowError, ModelError, RecordedError, Unreadable
from graphflow.journal.codec.errors import LONGEST_TEXT, MOST_ERRORS, decode_error, encode_error
from graphflow.model.reply import Reply
from graphflow.model.turns import TextPart


def record_of(error: BaseException) -> Any:
    text = json.dumps(encode_error(error), allow_nan=False, ensure_ascii=False)
    return json.loads(text.encode())


def again(error: BaseException) -> BaseException:
    record = record_of(error)
    back = decode_error(record)
    assert type(back).__name__ == type(error).__name__
    assert str(back) == record["text"]
    assert record_of(back) == record
    return back


# -- errors of graphflow ---------------------------------------------------------------------------
MADE: dict[str, GraphflowError] = {
    "ClaimBroken": errors.ClaimBroken("a", "AtMost('a', 1)", "used up"),
    "ClaimRefused": errors.ClaimRefused("a", "AtMost('a', 1)", "used up"),
    "GuardRejected": errors.GuardRejected("a", "after", "Length", "it is too long"),
    "SecretInError": errors.SecretInError("KeyError", "a secret is not there"),
    "GraphError": errors.GraphError("g", ["one", "two"], "a.py:1"),
    "ConversationBusy": errors.ConversationBusy("c", "r", "me", ["q"]),
    "MergeFailed": errors.MergeFailed("notes", "its merge raised"),
    "Stuck": errors.Stuck("no", node="a", port="b", edges=["x", "y"], scope="0"),
    "LimitExceeded": errors.LimitExceeded("steps", 9, ("g", "h"), "detail"),
    "DepthExceeded": errors.DepthExceeded(("g", "h"), 1),
    "BudgetExceeded": errors.BudgetExceeded("day", "usd", 5.0, 4.9, 1e9, ("g",), text="spent"),
    "StrayCancellation": errors.StrayCancellation("a", "why"),
    "NodeTimeout": errors.NodeTimeout("a", 1.5),
    "ModelUnset": errors.ModelUnset("a", "g"),
    "MissingExtra": errors.MissingExtra("a", "server", "no module"),
    "RunOwned": errors.RunOwned("r", "me", 3.5),
    "RunDamaged": errors.RunDamaged("r", 7, "gone"),
    "AnswerExists": errors.AnswerExists("r", "q", "me", 1.0),
    "AnswerInvalid": errors.AnswerInvalid("q", "an integer", "it is a text"),
    "Diverged": errors.Diverged(["desk", "inner"], "an answer of 'a'", "'b'"),
    "RowDiffers": errors.RowDiffers("r", 7, "one", "two"),
    "Unstorable": errors.Unstorable("Draft", ".when", "datetime", "a Stamp", "declare it"),
    "Unreadable": errors.Unreadable("Draft", ".when", "datetime", "a text"),
    **{
        own.__name__: own("no such store", seam="stores", plugin="shelf", distribution="shelves")
        for own in (errors.PluginError, *errors.PluginError.__subclasses__())
    },
}
"""Errors that a text alone does not make."""


def classes(top: type[GraphflowError] = GraphflowError) -> Iterator[type[GraphflowError]]:
    if vars(errors).get(top.__name__) is top:
        yield top
    for own in top.__subclasses__():
        yield from classes(own)


ALL = sorted(set(classes()), key=lambda own: own.__name__)


@pytest.mark.parametrize("own", ALL, ids=lambda own: own.__name__)
def test_every_error_of_graphflow_comes_back(own: type[GraphflowError]) -> None:
    error = MADE.get(own.__name__) or own("what, where, and what to change")
    assert type(error) is own
    back = again(error)
    assert type(back) is own
    assert vars(back) == vars(error)
    assert back.args == error.args


def test_what_machines_read_comes_back() -> None:
    error = errors.RateLimited(
        "slow down",
        source="m",
        provider="p",
        status=429,
        provider_code="c",
        type="t",
        request_id="r",
        retry_after=1.5,
    )
    error.hints = ("wait", "or pay")
    error.retryable = False
    error.partial = Reply(text="Hal", parts=(TextPart("Hal", {"id": "1"}),))
    back = again(error)
    assert isinstance(back, errors.RateLimited)
    assert vars(back) == vars(error)
    assert str(back) == "m: slow down; wait; or pay"
    assert back.kind == "rate_limit"
    timeout = errors.ModelTimeout("late")
    timeout.phase = "first token"
    assert vars(again(timeout)) == vars(timeout)
    invalid = errors.OutputInvalid("no")
    invalid.attempts = ("one", "two")
    assert vars(again(invalid)) == vars(invalid)
    failed = errors.CodeFailed("no")
    failed.printed = "1\n2\n"
    assert vars(again(failed)) == vars(failed)


def test_live_objects_stay_behind() -> None:
    limit = errors.LimitExceeded("steps", 9, ("g",))
    limit.ledger = object()
    limit.run = object()  # type: ignore[assignment]
    back = again(limit)
    assert isinstance(back, errors.LimitExceeded)
    assert back.ledger is None
    assert not hasattr(back, "run")
    assert back.path == ("g",)


def test_the_retry_that_a_tool_asks_for_comes_back_by_its_numbers() -> None:
    error = errors.ToolError("again", retry=Retry(attempts=7, wait_s=0.1, on=(KeyError,)))
    back = again(error)
    assert isinstance(back, errors.ToolError)
    assert back.retry == Retry(attempts=7, wait_s=0.1)


# -- errors of Python ------------------------------------------------------------------------------
def raised(text: str) -> BaseException:
    try:
        exec(text, {})
    except BaseException as error:
        return error
    raise AssertionError(text)


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0",
        "{}['a']",
        "open('/not/there')",
        "import not_there_at_all",
        "def",
        "b'\\xff'.decode()",
        "'\\ud800'.encode()",
        "int('x')",
        "[].nothing",
        "nothing",
        "raise SystemExit(3)",
        "raise KeyboardInterrupt",
        "raise StopIteration(7)",
        "raise ValueError('a', 1, None)",
        "raise ValueError(object)",
        "raise ValueError",
        "raise OSError(28, 'no room', 'a.txt')",
        "next(iter([]))",
    ],
)
def test_errors_of_python_come_back(text: str) -> None:
    error = raised(text)
    back = again(error)
    assert isinstance(back, type(error))
    for name in (
        "errno",
        "strerror",
        "filename",
        "name",
        "code",
        "value",
        "lineno",
        "start",
        "reason",
    ):
        assert getattr(back, name, None) == getattr(error, name, None)


OF_PYTHON = sorted(
    {
        own
        for own in vars(builtins).values()
        if isinstance(own, type) and issubclass(own, BaseException)
    },
    key=lambda own: own.__name__,
)


@pytest.mark.parametrize("own", OF_PYTHON, ids=lambda own: own.__name__)
def test_every_class_of_python_comes_back(own: type[BaseException]) -> None:
    is_group = issubclass(own, BaseExceptionGroup)
    inner = ValueError("a") if issubclass(own, Exception) else KeyboardInterrupt()
    error = own("one", [inner]) if is_group else own.__new__(own)
    assert type(again(error)) is own


def test_a_cancellation_is_asyncios() -> None:
    assert type(again(asyncio.CancelledError("stop"))) is asyncio.CancelledError


def test_groups_come_back_as_groups() -> None:
    group = ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [errors.Refused("no")])])
    back = again(group)
    assert type(back) is ExceptionGroup
    assert [type(inner) for inner in back.exceptions] == [ValueError, ExceptionGroup]
    assert back.subgroup(errors.Refused) is not None
    mixed = again(BaseExceptionGroup("m", [KeyboardInterrupt()]))
    assert type(mixed) is BaseExceptionGroup


# -- errors of others ------------------------------------------------------------------------------
class Plain(Exception):
    pass


class Demanding(errors.ToolError):
    def __init__(self, node: str, *, code: int) -> None:
        self.node = node
        self.code = code
        super().__init__(f"{node} failed with {code}")


class Telling(LookupError):
    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __str__(self) -> str:
        return f"about {self.thing.name}"  # type: ignore[attr-defined]


class Watching(Exception):
    made: list[type] = []

    def __init_subclass__(cls) -> None:
        Watching.made.append(cls)

    def __str__(self) -> str:
        return f"seen at {id(self)}"


class Stern(Exception):
    def __new__(cls, *args: object) -> Stern:
        raise AssertionError("nobody may make one")

    def __setattr__(self, name: str, value: object) -> None:
        raise AssertionError("nobody may set anything")


class Named(BaseModel):
    name: int = 1


def test_a_class_that_is_loaded_is_found_by_its_name() -> None:
    assert type(again(Plain("a", 1))) is Plain
    back = again(Demanding("a", code=7))
    assert type(back) is Demanding
    assert (back.node, back.code) == ("a", 7)
    # A class of another package. Those of httpx will not do: httpx2 has the same names, and then neither is guessed.
    assert isinstance(again(networkx.NetworkXUnfeasible("two")), networkx.NetworkXUnfeasible)


def test_a_text_that_its_class_cannot_say_again_is_kept() -> None:
    back = again(Telling(type("Thing", (), {"name": "x"})))
    assert isinstance(back, Telling)
    assert str(back) == "about x"
    seen = again(Watching())
    assert isinstance(seen, RecordedError)
    assert Watching.made == []


def test_no_code_of_the_class_makes_the_error() -> None:
    error = BaseException.__new__(Stern)
    BaseException.__setattr__(error, "args", ("a",))
    error.__dict__["__notes__"] = ["n"]
    back = again(error)
    assert type(back) is Stern
    assert back.__notes__ == ["n"]


def test_a_class_that_cannot_be_made_is_made_up() -> None:
    with pytest.raises(ValidationError) as caught:
        Named(name="x")  # type: ignore[arg-type]
    back = again(caught.value)
    assert isinstance(back, RecordedError)
    assert isinstance(back, ValueError)


def test_a_class_that_is_gone_is_made_up_and_still_caught_as_what_it_was() -> None:
    class Fleeting(errors.ToolError, KeyError):
        pass

    record = record_of(Fleeting("a"))
    assert type(decode_error(record)) is Fleeting
    del Fleeting
    gc.collect()
    back = decode_error(record)
    assert type(back).__name__ == "Fleeting"
    assert str(back) == record["text"]
    for base in (RecordedError, errors.ToolError, KeyError):
        assert isinstance(back, base)


def test_a_name_of_graphflows_or_pythons_that_is_anothers_is_not_mistaken() -> None:
    class Overloaded(Exception):
        pass

    class TimeoutError(Exception):
        pass

    assert type(again(Overloaded("mine"))) is Overloaded
    # Where others are loaded that are called so as well (a browser's driver has one), none of them is guessed.
    back = again(TimeoutError("mine"))
    assert type(back).__name__ == "TimeoutError"
    assert type(back) is not builtins.TimeoutError
    assert str(back) == "mine"
    assert type(again(errors.Overloaded("its"))) is errors.Overloaded


def test_of_two_classes_of_a_name_neither_is_guessed() -> None:
    def one() -> type[Exception]:
        class Twin(Exception):
            pass

        return Twin

    first, second = one(), one()
    for own in (first, second):
        back = again(own("a"))
        assert type(back) not in (first, second)
        assert isinstance(back, RecordedError)


def test_a_class_that_was_defined_again_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Plain
    assert type(again(Plain("a"))) is old
    newest = type("Plain", (Exception,), {"__module__": __name__, "__qualname__": "Plain"})
    monkeypatch.setitem(globals(), "Plain", newest)
    assert type(decode_error(record_of(old("a")))) is newest


@pytest.mark.parametrize(
    "kind", ["", "a\0b", "x" * 10_000, "os.system", "type", "RecordedError", "GraphflowError"]
)
def test_any_name_is_only_a_name(kind: str) -> None:
    for home in ("", "graphflow", "python", "os"):
        back = decode_error(
            {"kind": kind, "text": "t", "home": home, "bases": ["type", "SystemExit", "Retry"]}
        )
        assert isinstance(back, GraphflowError)
        assert str(back) == "t"


@pytest.mark.parametrize("record", [None, 7, {}, {"kind": "ValueError"}, {"kind": 1, "text": "a"}])
def test_what_is_no_record_is_refused(record: Any) -> None:
    with pytest.raises(Unreadable):
        decode_error(record)


# -- causes, notes, bounds -------------------------------------------------------------------------
def test_causes_and_notes_come_back() -> None:
    error = ValueError("a")
    error.__cause__ = errors.ServerError("b", status=500)
    error.__cause__.__cause__ = KeyError("c")
    error.add_note("look there")
    back = again(error)
    assert back.__notes__ == ["look there"]
    assert isinstance(back.__cause__, errors.ServerError)
    assert back.__cause__.status == 500
    assert isinstance(back.__cause__.__cause__, KeyError)


def test_a_ring_of_causes_ends() -> None:
    one, two = ValueError("a"), ValueError("b")
    one.__cause__, two.__cause__ = two, one
    back = again(one)
    assert str(back.__cause__) == "b"
    assert back.__cause__ is not None
    assert back.__cause__.__cause__ is None


def test_chains_and_groups_are_bounded() -> None:
    chain: BaseException = ValueError("first")
    for number in range(5000):
        error = ValueError(number)
        error.__cause__ = chain
        chain = error
    assert len(json.dumps(record_of(chain))) < 10_000
    wide = ExceptionGroup("wide", [ValueError(number) for number in range(5000)])
    back = again(wide)
    assert isinstance(back, ExceptionGroup)
    assert len(back.exceptions) == MOST_ERRORS - 1
    assert "5000 sub-exceptions" in str(back)
    deep: ExceptionGroup[Exception] = ExceptionGroup("deep", [ValueError("x")])
    for _ in range(500):
        deep = ExceptionGroup("deep", [deep])
    record = record_of(deep)
    assert len(json.dumps(record)) < 10_000
    assert str(decode_error(record)) == "deep (1 sub-exception)"


def test_half_a_character_is_no_obstacle() -> None:
    error = FileNotFoundError(2, "not there", "a\udcff.txt")
    error.add_note("\ud800")
    vars(error)["\ud800"] = vars(error)["name"] = "\ud800"
    back = again(error)
    assert isinstance(back, FileNotFoundError)
    assert back.errno == 2


def test_texts_and_fields_are_bounded() -> None:
    error = Plain("x" * 1_000_000)
    error.big = ["y"] * 1_000_000  # type: ignore[attr-defined]
    error.long = "z" * 1_000_000  # type: ignore[attr-defined]
    error.me = error  # type: ignore[attr-defined]
    ring: list[Any] = []
    ring.append(ring)
    error.ring = ring  # type: ignore[attr-defined]
    error.small = [1]  # type: ignore[attr-defined]
    vars(error).update({f"x{number}": object() for number in range(100_000)})
    back = again(error)
    assert len(str(back)) <= LONGEST_TEXT
    assert vars(back).keys() - {"_recorded_text"} == {"small"}


def test_secrets_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "Xq7-Zr2-Kp9-Wm4-Lt8"
    monkeypatch.setenv("SHOP_API_KEY", secret)
    error = Plain(f"refused {secret}")
    error.url = f"https://x/?k={secret}"  # type: ignore[attr-defined]
    error.pair = (secret, 1)  # type: ignore[attr-defined]
    error.add_note(f"it was {secret}")
    error.__cause__ = KeyError(secret)
    long = Plain("a" * (LONGEST_TEXT - 5) + secret + "b" * 10**5)
    cut = Plain("a" * (LONGEST_TEXT + 9_990) + secret)
    for each in (error, long, cut):
        text = json.dumps(record_of(again(each)))
        assert secret not in text
        assert secret[:9] not in text
    assert str(again(error)) == "refused [SHOP_API_KEY]"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
)


@given(
    st.sampled_from(
        [ValueError, KeyError, OSError, Plain, ModelError, errors.ToolError, errors.WeightsError]
    ),
    st.lists(values, max_size=3),
    st.dictionaries(st.text("abc_", min_size=1, max_size=5), values, max_size=3),
)
def test_any_error_comes_back(
    own: type[Exception], args: list[Any], fields: dict[str, Any]
) -> None:
    error = own.__new__(own)
    error.args = tuple(args)
    vars(error).update(fields)
    back = again(error)
    assert isinstance(back, own)
