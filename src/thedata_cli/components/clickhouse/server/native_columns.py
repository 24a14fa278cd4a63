"""Where a column's bytes end in a Native block, for every type that can be told without decoding its values.

Each class walks one kind of column. What has a known size is stepped over without waiting for it.

Source: https://clickhouse.com/docs/interfaces/formats/Native
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from typing_extensions import override

from thedata_cli.components.clickhouse.server.errors import INCORRECT_DATA, NOT_IMPLEMENTED, ClickHouseError
from thedata_cli.components.clickhouse.server.native_source import U64_BYTES, Source, Walk
from thedata_cli.components.clickhouse.server.native_types import TypeName, UnreadableTypeError, parse_type

_DISCRIMINATOR_NULL = 255
_INDEX_WIDTHS = (1, 2, 4, 8)
_HAS_GLOBAL_KEYS, _HAS_OWN_KEYS = 1 << 8, 1 << 9
_DYNAMIC_V1, _DYNAMIC_V2, _DYNAMIC_FLATTENED = 1, 2, 3
_JSON_V1, _JSON_AS_STRING, _JSON_V2, _JSON_FLATTENED = 0, 1, 2, 3
_SHARED_VARIANT = "SharedVariant"


class Column:
    """A column of a fixed number of bytes a value; the others override both walks."""

    def __init__(self, width: int) -> None:
        self._width = width

    def prefix(self, source: Source) -> Walk[None]:  # noqa: ARG002 (the others read it)
        """What comes before the data of the whole column, once a block."""
        yield from ()

    def data(self, source: Source, rows: int) -> Walk[None]:
        """The values of `rows` rows."""
        source.skip(self._width * rows)
        yield from ()


class StringColumn(Column):
    """Each value carries its length."""

    def __init__(self) -> None:
        super().__init__(0)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        yield from source.skip_strings(rows)


class NullableColumn(Column):
    """A byte per row that says NULL, then a value for every row."""

    def __init__(self, nested: Column) -> None:
        super().__init__(1)
        self._nested = nested

    @override
    def prefix(self, source: Source) -> Walk[None]:
        yield from self._nested.prefix(source)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        source.skip(rows)
        yield from self._nested.data(source, rows)


class ArrayColumn(Column):
    """The end of each row's values as a running count, then all the values."""

    def __init__(self, nested: Column) -> None:
        super().__init__(0)
        self._nested = nested

    @override
    def prefix(self, source: Source) -> Walk[None]:
        yield from self._nested.prefix(source)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        if rows:
            source.skip((rows - 1) * U64_BYTES)
            values = yield from source.u64()
            yield from self._nested.data(source, values)


class TupleColumn(Column):
    """The elements one after the other, each for all rows."""

    def __init__(self, elements: Sequence[Column]) -> None:
        # An empty tuple still takes a byte a row.
        super().__init__(0 if elements else 1)
        self._elements = elements

    @override
    def prefix(self, source: Source) -> Walk[None]:
        for element in self._elements:
            yield from element.prefix(source)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        source.skip(self._width * rows)
        for element in self._elements:
            yield from element.data(source, rows)


class LowCardinalityColumn(Column):
    """A dictionary for this block, then an index per row."""

    def __init__(self, keys: Column) -> None:
        super().__init__(0)
        self._keys = keys

    @override
    def prefix(self, source: Source) -> Walk[None]:
        source.skip(U64_BYTES)
        yield from ()

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        if not rows:
            return
        layout = yield from source.u64()
        for flag in (_HAS_GLOBAL_KEYS, _HAS_OWN_KEYS):
            if layout & flag:
                count = yield from source.u64()
                yield from self._keys.data(source, count)
        indexes = yield from source.u64()
        source.skip(indexes * _INDEX_WIDTHS[layout & 0xFF])


class VariantColumn(Column):
    """A byte per row that says which type, then the values of each type."""

    def __init__(self, variants: Sequence[Column]) -> None:
        super().__init__(0)
        self._variants = variants

    @override
    def prefix(self, source: Source) -> Walk[None]:
        mode = yield from source.u64()
        if mode != 0:
            raise ClickHouseError(NOT_IMPLEMENTED, "Compact discriminators of a Variant cannot be re-encoded.")
        for variant in self._variants:
            yield from variant.prefix(source)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        yield from source.need(rows)
        discriminators = bytes(source.buffer[source.position : source.position + rows])
        source.skip(rows)
        for index, variant in enumerate(self._variants):
            yield from variant.data(source, discriminators.count(index))


class FlattenedColumn(Column):
    """Dynamic written flat: an index per row into the types, then the values of each type."""

    def __init__(self, variants: Sequence[Column]) -> None:
        super().__init__(0)
        self._variants = variants

    @override
    def prefix(self, source: Source) -> Walk[None]:
        for variant in self._variants:
            yield from variant.prefix(source)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        # NULL takes an index of its own, so the width depends on one more than the types.
        width = next(width for width in _INDEX_WIDTHS if len(self._variants) < 1 << (8 * width))
        yield from source.need(rows * width)
        end = source.position + rows * width
        indexes = Counter(
            int.from_bytes(source.buffer[start : start + width], "little")
            for start in range(source.position, end, width)
        )
        source.skip(rows * width)
        for index, variant in enumerate(self._variants):
            yield from variant.data(source, indexes[index])


class DynamicColumn(Column):
    """The types are in the data: each block names those that occur in it."""

    def __init__(self) -> None:
        super().__init__(0)
        self._content: Column = VariantColumn(())

    @override
    def prefix(self, source: Source) -> Walk[None]:
        version = yield from source.u64()
        if version == _DYNAMIC_V1:
            yield from source.varint()
        elif version not in (_DYNAMIC_V2, _DYNAMIC_FLATTENED):
            raise ClickHouseError(NOT_IMPLEMENTED, f"Serialization {version} of Dynamic cannot be re-encoded.")
        count = yield from source.varint()
        names = []
        for _ in range(count):
            names.append((yield from source.string()).decode("utf-8", "surrogateescape"))
        if version == _DYNAMIC_FLATTENED:
            self._content = FlattenedColumn([column_for(name) for name in names])
        else:
            ordered = sorted([*names, _SHARED_VARIANT], key=lambda name: name.encode("utf-8", "surrogateescape"))
            self._content = VariantColumn([StringColumn() if n == _SHARED_VARIANT else column_for(n) for n in ordered])
        yield from self._content.prefix(source)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        yield from self._content.data(source, rows)


class JsonColumn(Column):
    """The declared paths, the paths of this block as Dynamic, and the rest as pairs of strings."""

    def __init__(self, typed: Sequence[Column]) -> None:
        super().__init__(0)
        self._typed = typed
        self._parts: list[Column] = []

    @override
    def prefix(self, source: Source) -> Walk[None]:
        version = yield from source.u64()
        if version == _JSON_AS_STRING:
            self._parts = [StringColumn()]
            return
        if version not in (_JSON_V1, _JSON_V2, _JSON_FLATTENED):
            raise ClickHouseError(NOT_IMPLEMENTED, f"Serialization {version} of JSON cannot be re-encoded.")
        if version == _JSON_V1:
            yield from source.varint()
        count = yield from source.varint()
        for _ in range(count):
            yield from source.string()
        self._parts = [*self._typed, *(DynamicColumn() for _ in range(count))]
        if version != _JSON_FLATTENED:
            self._parts.append(ArrayColumn(TupleColumn([StringColumn(), StringColumn()])))
        for part in self._parts:
            yield from part.prefix(source)

    @override
    def data(self, source: Source, rows: int) -> Walk[None]:
        for part in self._parts:
            yield from part.data(source, rows)


_WIDTHS = {
    **{f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    **{"Bool": 1, "Enum8": 1, "Enum16": 2, "BFloat16": 2, "Float32": 4, "Float64": 8, "Nothing": 1},
    **{"Date": 2, "Date32": 4, "DateTime": 4, "DateTime32": 4, "DateTime64": 8, "Time": 4, "Time64": 8},
    **{"UUID": 16, "IPv4": 4, "IPv6": 16},
    **{"Decimal32": 4, "Decimal64": 8, "Decimal128": 16, "Decimal256": 32},
}
_ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
    "Geometry": "Variant(LineString, MultiLineString, MultiPolygon, Point, Polygon, Ring)",
}
_DECIMAL_WIDTHS = ((9, 4), (18, 8), (38, 16), (76, 32))
_QBIT_PLANES = {"Int8": 8, "BFloat16": 16, "Float32": 32, "Float64": 64}


def column_for(text: str) -> Column:
    """The walker for a type name.

    Raises:
        ClickHouseError: The type has no size that its bytes tell (48), or the name is not understood (117).
    """
    try:
        return _column(parse_type(text))
    except UnreadableTypeError as error:
        raise ClickHouseError(INCORRECT_DATA, f"The type name '{text}' is not understood.") from error


def _column(declared: TypeName) -> Column:
    name = declared.name
    if name in _WIDTHS:
        return Column(_WIDTHS[name])
    if name.startswith("Interval"):
        return Column(8)
    if name in _ALIASES:
        return column_for(_ALIASES[name])
    if name in _BUILDERS:
        return _BUILDERS[name](declared.arguments)
    raise ClickHouseError(
        NOT_IMPLEMENTED,
        f"A column of type {name} cannot be sent in Native at the client's protocol revision by the embedded engine: "
        "its values do not tell their size. Finalize it, or read it in another format such as RowBinary.",
    )


def _number(argument: TypeName) -> int:
    try:
        return int(argument.name)
    except ValueError as error:
        raise UnreadableTypeError(argument.name) from error


def _columns(arguments: Sequence[TypeName]) -> list[Column]:
    return [_column(argument) for argument in arguments]


def _decimal(arguments: Sequence[TypeName]) -> Column:
    precision = _number(arguments[0])
    return Column(next(width for digits, width in _DECIMAL_WIDTHS if precision <= digits))


def _qbit(arguments: Sequence[TypeName]) -> Column:
    planes, bits = _QBIT_PLANES[arguments[0].name], _number(arguments[1])
    return Column(planes * ((bits + 7) // 8))


def _low_cardinality(arguments: Sequence[TypeName]) -> Column:
    # The dictionary of a nullable type holds plain values; its first entry stands for NULL.
    keys = arguments[0].arguments[0] if arguments[0].name == "Nullable" else arguments[0]
    return LowCardinalityColumn(_column(keys))


def _variant(arguments: Sequence[TypeName]) -> Column:
    return VariantColumn(_columns(arguments))


def _json(arguments: Sequence[TypeName]) -> Column:
    typed = [one for one in arguments if one.label and not re.match(r"SKIP( REGEXP)?$|.* =$", one.label)]
    return JsonColumn(_columns(sorted(typed, key=lambda one: (one.label or "").encode())))


_BUILDERS: dict[str, Callable[[Sequence[TypeName]], Column]] = {
    "String": lambda _: StringColumn(),
    "FixedString": lambda arguments: Column(_number(arguments[0])),
    "Decimal": _decimal,
    "Nullable": lambda arguments: NullableColumn(_column(arguments[0])),
    "Array": lambda arguments: ArrayColumn(_column(arguments[0])),
    "Map": lambda arguments: ArrayColumn(TupleColumn(_columns(arguments))),
    "Nested": lambda arguments: ArrayColumn(TupleColumn(_columns(arguments))),
    "Tuple": lambda arguments: TupleColumn(_columns(arguments)),
    "LowCardinality": _low_cardinality,
    "SimpleAggregateFunction": lambda arguments: _column(arguments[1]),
    "Variant": _variant,
    "Dynamic": lambda _: DynamicColumn(),
    "JSON": _json,
    "QBit": _qbit,
}
