"""Models: pydantic's, by their fields, without aliases, validators or serializers.

    {"text": "...", "n": 1}                      all fields were given
    {"text": "...", "n": 1, "_unset": ["n"]}     n has its default, and was not given
    {..., "_extra": {...}, "_private": {...}}    what the model lets in besides; its private attributes

No field of a model begins with an underscore, so these names are free. A model is made again with exactly these values:
a validator that changes what it is given would change it twice.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Mapping,
    Sequence,
)
from collections.abc import Set as AnySet
from itertools import takewhile

from pydantic import BaseModel, RootModel

from graphflow.journal.codec import columns
from graphflow.journal.codec.coding import (
    EXTRA,
    PRIVATE,
    UNSET,
    Coding,
    Misfit,
    class_name,
)
from graphflow.journal.codec.columns import Column
from graphflow.journal.codec.fields import CodedField, FieldSet
from graphflow.journal.codec.records import (
    RecordCoding,
    cached_names,
    slots_of,
    slots_problem,
)
from graphflow.journal.stored import Json
from graphflow.messages.types import type_name

_BESIDE = frozenset({UNSET, EXTRA, PRIVATE})

_Setter = Callable[[BaseModel, object], None]
_new = object.__new__
_set_dict: _Setter = BaseModel.__dict__["__dict__"].__set__
_set_fields: _Setter = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra: _Setter = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private: _Setter = BaseModel.__dict__["__pydantic_private__"].__set__


class ModelCoding(RecordCoding):
    """Models of one class."""

    __slots__ = ("_cached", "_extra", "_is_open", "_model", "_private", "_slots")

    def __init__(self, known: type[BaseModel]) -> None:
        super().__init__(known, known)
        self._model = known
        self._cached = cached_names(known)
        self._is_open = False
        self._extra: Coding | None = None
        self._private: FieldSet | None = None
        own = takewhile(lambda base: base is not BaseModel, known.__mro__)
        self._slots = slots_of(own)

    def fill_beside(self, extra: Coding | None, private: Sequence[CodedField]) -> None:
        """Gives it what stands beside its fields.

        Args:
            extra: how names that it does not declare are written, with their values; None: it lets none in.
            private: its private attributes.
        """
        self._extra = extra
        self._private = FieldSet(self.kind, private) if private else None
        self._is_open = self._extra is not None or self._private is not None

    def problem(self) -> str:
        return slots_problem(self._slots)

    # -- writing -----------------------------------------------------------------------------------
    def encode(self, value: object, depth: int) -> Json:
        if type(value) is not self._model:
            raise self.foreign(value)
        assert isinstance(value, BaseModel)
        depth += 1
        fields = self._fields
        values = value.__dict__
        if self._cached:
            values = {name: each for name, each in values.items() if name not in self._cached}
        data = fields.encode(values, depth)
        # Which fields were given is part of a model: `model_dump(exclude_unset=True)` asks for it.
        given = value.__pydantic_fields_set__
        if given != fields.names:
            unset = self._unset(value, given)
            if unset:
                data[UNSET] = unset
        extra = value.__pydantic_extra__
        if extra:
            data[EXTRA] = self._extra_data(extra, depth)
        private = value.__pydantic_private__
        if private:
            data[PRIVATE] = self._private_data(private, depth)
        return data

    def _unset(self, value: BaseModel, given: AnySet[str]) -> list[str]:
        """What has a value that was not given, in the order of the class."""
        extra = value.__pydantic_extra__ or {}
        for name in given:
            if name not in self._fields.names and name not in extra:
                raise self._beside(f".{name}", "a name in model_fields_set without a value")
        names = [field.name for field in self._fields.fields]
        names += extra
        return [name for name in names if name not in given]

    def _extra_data(self, extra: Mapping[str, object], depth: int) -> Json:
        if self._extra is None:
            raise self._beside("", "values that it does not declare")
        return self._extra.encode(extra, depth)

    def _private_data(self, private: Mapping[str, object], depth: int) -> Json:
        if self._private is None:
            raise self._beside("", "private attributes that it does not declare")
        return self._private.encode(private, depth)

    def _beside(self, path: str, found: str) -> Misfit:
        misfit = Misfit(f"what {class_name(self._known)} declares", found, "declare them as fields")
        misfit.steps.append(path)
        return misfit

    # -- reading -----------------------------------------------------------------------------------
    def _decoded(self, data: Json, depth: int) -> object:
        data = self.object_in(data)
        fields = self._fields
        beside: Mapping[str, Json] = {}
        if not _BESIDE.isdisjoint(data):
            beside = {name: each for name, each in data.items() if name in _BESIDE}
            data = {name: each for name, each in data.items() if name not in _BESIDE}
        depth += 1
        values = fields.decode(data, depth)
        given = set(values)
        if given != fields.names:
            fields.add_defaults(values)
        extra = private = None
        if self._is_open or beside:
            extra = self._extra_of(beside, depth)
            private = self._private_of(beside, depth)
            unset = self._unset_of(beside)
            given.update(extra or ())
            given.difference_update(unset)
        # As pydantic's own `model_construct`, which would take defaults and aliases into account.
        made = _new(self._model)
        _set_dict(made, values)
        _set_fields(made, given)
        _set_extra(made, extra)
        _set_private(made, private)
        return made

    def _unset_of(self, beside: Mapping[str, Json]) -> list[str]:
        names = beside.get(UNSET, [])
        if type(names) is not list:
            raise self._misread(UNSET, names)
        for name in names:
            if type(name) is not str:
                raise self._misread(UNSET, name)
        return names

    def _extra_of(self, beside: Mapping[str, Json], depth: int) -> dict[str, object] | None:
        data = beside.get(EXTRA)
        if self._extra is None:
            if data is None:
                return None
            raise self._misread(EXTRA, data)
        if data is None:
            data = {}
        extra = self._extra.decode(data, depth)
        assert isinstance(extra, dict)
        return extra

    def _private_of(self, beside: Mapping[str, Json], depth: int) -> dict[str, object] | None:
        data = beside.get(PRIVATE)
        private = self._private
        if private is None:
            if data is None:
                return None
            raise self._misread(PRIVATE, data)
        if data is None:
            data = {}
        if type(data) is not dict:
            raise self._misread(PRIVATE, data)
        values = private.decode(data, depth)
        private.add_defaults(values)
        return values

    def _misread(self, name: str, data: Json) -> Misfit:
        misfit = self.illegible(data)
        misfit.wanted = f"what {type_name(self.kind)} declares"
        misfit.steps.append(f".{name}")
        return misfit

    # -- many at once ------------------------------------------------------------------------------
    def column(self, within: frozenset[Coding]) -> Column | None:
        # pydantic's Rust code would put a root model's extra and private attributes among its fields.
        is_root = issubclass(self._model, RootModel)
        if is_root or self._is_open or self._slots:
            return None
        if self in within:
            return None
        found: dict[str, Column] = {}
        for field in self._fields.fields:
            column = field.coding.column(within | {self})
            if column is None:
                return None
            found[field.name] = column
        return columns.models(self._model, found)
