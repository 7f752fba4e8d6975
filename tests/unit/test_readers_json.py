"""How JSON Lines and arrays of objects become rows of cells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.parse_error import ParseCode, ParseError
from services.ingest.tables.json_object import MAX_DEPTH
from services.ingest.tables.json_rows import MAX_KEYS
from services.ingest.tables.table import CHUNK, MAX_FIELD, MAX_ROW, Made, Nested
from tests.unit.held_source import opened, read


def failure(data: str | bytes) -> ParseError:
    with pytest.raises(ParseError) as caught:
        read(data if isinstance(data, bytes) else data.encode())
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        '{"Phone":"+44 1","Name":"A"}\n{"Phone":"+44 2","ID":7}\n',
        '{"Phone":"+44 1","Name":"A"}\r\n{"ID":7,"Phone":"+44 2"}',
        '[{"Phone":"+44 1","Name":"A"},{"Phone":"+44 2","ID":7}]',
        '[\n  {\n    "Phone": "+44 1",\n    "Name": "A"\n  },\n{"Phone":"+44 2","ID":7} ]\r\n',
    ],
)
def test_keys_are_headings_in_order_of_first_appearance(text: str) -> None:
    """An object is a row, counted from 1; a key it lacks is an empty cell."""
    assert read(text.encode()) == [
        (0, ["Phone", "Name", "ID"]),
        (1, ["+44 1", "A", ""]),
        (2, ["+44 2", "", "7"]),
    ]


def test_empty_lines_are_counted_and_left_out() -> None:
    """A row's number is its line's."""
    assert read(b'\n{"a":"1"}\n\n  \n{"a":"2"}\n\n') == [(0, ["a"]), (2, ["1"]), (5, ["2"])]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('"+44 1"', "+44 1"),
        ('"\\u0663 \\ud83d\\ude00"', "\u0663 \N{GRINNING FACE}"),
        ('"\\\\u0000"', "\\u0000"),
        ("4155550100", "4155550100"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-1", "-1"),
        ("null", ""),
        ("true", "true"),
        ("false", "false"),
    ],
)
def test_values_keep_their_characters(value: str, cell: str) -> None:
    """No digit of a number is lost; null is an empty cell."""
    rows = read(f'{{"a":{value}}}'.encode())
    assert rows == [(0, ["a"]), (1, [cell])]
    assert type(rows[1][1][0]) is str


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("4.41782E+11", Made),
        ("4155550100.0", Made),
        ("415.5550100", Made),
        ("1e3", Made),
        ('["+44 1"]', Nested),
        ('{"e164": "+44 1"}', Nested),
        ("[]", Nested),
    ],
)
def test_values_that_are_no_cell_are_marked(value: str, kind: type[Made]) -> None:
    """They are no fault of the file; their text is what stands there."""
    cell = read(f'[{{"a":{value}}}]'.encode())[1][1][0]
    assert (type(cell), str(cell)) == (kind, value)


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("text", "code", "row"),
    [
        ('{"a":1}\n{"a":', "cut-json", 2),
        ('{"a":1}\n{"a":"\n{"a":1}\n', "cut-json", 2),
        ('{"a":1}\n{"a":tr', "cut-json", 2),
        ('{"a":1}\n{"a":1}, \n', "bad-json", 2),
        ('{"a":1}{"a":2}\n', "bad-json", 1),
        ('{"a":1}\n{"a":x}\n', "bad-json", 2),
        ("{\"a\":1}\n{'a':1}\n", "bad-json", 2),
        ('{"a":1}\n{"a":NaN}\n', "bad-json", 2),
        ('{"a":1}\n{"a":1,"a":2}\n', "bad-json", 2),
        ('{"a":1}\n{"a":"\\ud800"}\n', "bad-json", 2),
        ('{"a":1}\n{"a":"\\\\\\u0000"}\n', "bad-json", 2),
        ('{"a":1}\n{"a":"\t"}\n', "bad-json", 2),
        ('{"a":1}\n"a"\n', "json-not-objects", 2),
        ('{"a":1}\n[1]\n', "json-not-objects", 2),
        ("[1, 2]", "json-not-objects", 1),
        ('["+44 1"]', "json-not-objects", 1),
        ('["Phone"]\n["+44 1"]\n', "json-not-objects", 1),
        ("[[", "json-not-objects", 1),
        ('[{"a":1}, 2]', "json-not-objects", 2),
        ('[{"a":1},]', "bad-json", 2),
        ('[{"a":1} {"a":2}]', "bad-json", 2),
        ('[{"a":1}] x', "bad-json", 2),
        ('[{"a":1}][{"a":2}]', "bad-json", 2),
        ('[{"a":x}]', "bad-json", 1),
        ('[{"a":1},{"a":1', "cut-json", 2),
        ('[{"a":1},{"a":"\\u12', "cut-json", 2),
        ('[{"a":1},', "cut-json", 2),
        ('[{"a":1}', "cut-json", 2),
        ("[", "cut-json", 1),
        ("{", "cut-json", 1),
        ('{"contacts":[{"a":1},{"a":2}]}', "json-object", None),
        ('{"count":2,"contacts":[{"a":1},{"a":2}]}\n', "json-object", None),
        ('{\n  "contacts": [\n    {"a": 1}\n  ]\n}\n', "json-object", 1),
        (deep(10_000), "json-too-deep", 1),
        ("[" + deep(10_000) + "]", "json-too-deep", 1),
        ("[" * 10_000, "json-not-objects", 1),
        ('[{"a":' + "[" * 100_000, "json-too-deep", 1),
        (deep(MAX_DEPTH + 1), "json-too-deep", 1),
        ('{"a":"' + "x" * (MAX_FIELD + 1) + '"}', "field-too-long", 1),
        ('{"a":"' + "x" * MAX_ROW + '"}', "row-too-long", 1),
        ('[{"a":"' + "x" * MAX_ROW + '"}]', "row-too-long", 1),
        ('[{"a":1},{"a":"' + "x" * 3 * MAX_ROW, "row-too-long", 2),
        ('{"a":1}\n{"a":"' + "x" * 3 * MAX_ROW, "row-too-long", 2),
    ],
)
def test_json_that_cannot_be_read(text: str, code: ParseCode, row: int | None) -> None:
    """Each fault has its code, the row where it is, and a way out."""
    error = failure(text)
    assert (error.code, error.row) == (code, row)
    assert str(error).endswith(".")


def test_the_place_in_a_line_is_told() -> None:
    """A long line is not searched by eye."""
    assert "character 12 " in str(failure('{"a":1}\n{"abcdef": x , "b": "ccccccccccccccccc"}\n'))


def test_a_wrong_byte_in_json_has_its_row() -> None:
    """As in any other text."""
    error = failure('{"a":"ü"}\n{"a":"'.encode() + b'\xfc"}\n')
    assert (error.code, error.row) == ("bad-encoding", 2)


def test_brackets_in_strings_are_no_levels() -> None:
    """Depth is that of the objects; a text may hold what it likes."""
    text = json.dumps({"a": '[{"\\' * 200})
    assert read(text.encode())[1][1] == ['[{"\\' * 200]
    assert read(deep(MAX_DEPTH).encode())[0] == (0, ["a"])


def test_one_object_with_an_array_can_be_a_contact() -> None:
    """In brackets it is one, and so is one of several."""
    text = b'{"a":"1","orders":[{"b":1}]}'
    assert len(read(b"[" + text + b"]")) == 2
    assert len(read(text + b"\n" + text)) == 3


def test_keys_that_are_data_are_refused() -> None:
    """The number of columns has an end."""
    text = "\n".join(json.dumps({f"+44 {number}": 1}) for number in range(MAX_KEYS + 1))
    error = failure(text)
    assert (error.code, error.row) == ("too-many-columns", MAX_KEYS + 1)
    assert "+44" not in str(error)
    long = failure(json.dumps({"k" * 600_000: 1}) + "\n" + json.dumps({"l" * 600_000: 1}))
    assert long.code == "too-many-columns"


@pytest.mark.parametrize("size", [CHUNK - 30, CHUNK, 5 * CHUNK, MAX_FIELD])
def test_an_object_may_be_larger_than_what_is_read_at_a_time(size: int) -> None:
    """It is put together again."""
    table = [{"a": "x" * min(size, MAX_FIELD), "b": "y" * (size // 8)} for _ in range(4)]
    rows = read(json.dumps(table).encode())
    assert rows[1:] == [(number, [row["a"], row["b"]]) for number, row in enumerate(table, 1)]


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)


def shown(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(
    st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
    st.sampled_from([None, 2]),
    st.integers(1, 9),
)
def test_what_a_json_writer_wrote_is_read_back(
    values: list[tuple[Any, Any]], encoding: str, ascii_only: bool, indent: int | None, sip: int
) -> None:
    """As lines and as an array, in any encoding, however the bytes come in."""
    expected = [(0, ["a", "b"])] + [
        (number, [shown(a), shown(b)]) for number, (a, b) in enumerate(values, 1)
    ]
    table = [{"a": a, "b": b} for a, b in values]
    array = json.dumps(table, ensure_ascii=ascii_only, indent=indent)
    lines = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in table)
    assert read(array.encode(encoding), sip=sip) == expected
    assert read(lines.encode(encoding), sip=sip) == expected


@given(st.text('[]{}",:1 a\\u0\nnulltrue', max_size=40), st.integers(1, 4))
def test_where_json_is_cut_makes_no_difference(tail: str, sip: int) -> None:
    """Rows, and the fault that ends them, are the same for bytes that come in small pieces."""
    for head in ('[{"a":1}', '{"a":1}\n'):

        def outcome(size: int, data: bytes = (head + tail).encode()) -> object:
            try:
                return read(data, sip=size)
            except ParseError as error:
                return error.code, error.row, str(error)

        assert outcome(sip) == outcome(1 << 20)


def test_what_is_found_is_said() -> None:
    """The kind is part of what the sender is told."""
    found = opened(b'[{"a":1}]').found
    assert (found.kind, found.encoding, found.delimiter) == ("json-array", "utf-8", None)
