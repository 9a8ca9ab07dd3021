"""What it means that a value comes back: equal, and of the same classes, all the way down."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import deque
from datetime import datetime, time
from typing import Any

from pydantic import BaseModel

from graphflow.journal.codec import codec_of, json_text


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same classes, all the way down."""
    if type(one) is not type(other):
        return False
    match one:
        case float():
            return (math.isnan(one) and math.isnan(other)) or (
                one == other and str(one) == str(other)
            )
        case BaseModel():
            return (
                same(vars(one), vars(other))
                and one.model_fields_set == other.model_fields_set
                and same(one.__pydantic_extra__, other.__pydantic_extra__)
                and same(one.__pydantic_private__, other.__pydantic_private__)
            )
        case dict():
            pairs = zip(one.items(), other.items(), strict=False)
            return len(one) == len(other) and all(same(a, b) for a, b in pairs)
        case list() | tuple() | deque():
            return len(one) == len(other) and all(map(same, one, other))
        case set() | frozenset():
            return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
        case datetime() | time():
            zones = same_zone(one.tzinfo, other.tzinfo)
            return (
                one.replace(tzinfo=None) == other.replace(tzinfo=None)
                and one.fold == other.fold
                and zones
            )
    if dataclasses.is_dataclass(one):
        return all(
            same(getattr(one, each.name), getattr(other, each.name))
            for each in dataclasses.fields(one)
        )
    return bool(one == other)


def same_zone(one: Any, other: Any) -> bool:
    return type(one) is type(other) and str(one) == str(other)


def there_and_back(kind: Any, value: Any) -> Any:
    """A value, written as text and read again; a column of it says the same."""
    codec = codec_of(kind)
    data = codec.encode(value)
    text = json.dumps(data, allow_nan=False)
    assert json_text(data).encode()
    read = codec.decode(json.loads(text))
    column = codec.encode_column([value, value])
    assert json.loads(column) == [json.loads(text)] * 2
    assert all(same(value, each) for each in codec.decode_column(column))
    return read
