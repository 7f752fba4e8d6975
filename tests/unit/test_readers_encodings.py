"""Which encoding a text is in, and what is said where it is in none."""

from __future__ import annotations

import codecs
import random

import pytest

from services.ingest.parse_error import ParseError
from services.ingest.tables.opening import Said
from services.ingest.tables.table import CHUNK
from tests.unit.held_source import opened, read

TEXT = "Phone,Name\n+44 1,Zoë Müller\n"
ROWS = [(1, ["Phone", "Name"]), (2, ["+44 1", "Zoë Müller"])]
#: In Chinese most characters of UTF-16 have no NUL.
CHINESE = "电话,姓名,国家\n13800138000,张三李四王五赵六,中华人民共和国\n" * 5


@pytest.mark.parametrize(
    ("data", "encoding", "by"),
    [
        (TEXT.encode(), "utf-8", "content"),
        (TEXT.encode("utf-8-sig"), "utf-8", "mark"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-16-le", "mark"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16-be", "mark"),
        (TEXT.encode("utf-16-le"), "utf-16-le", "content"),
        (TEXT.encode("utf-16-be"), "utf-16-be", "content"),
        (TEXT.encode("cp1252"), "windows-1252", "content"),
    ],
)
def test_the_encoding_is_found_and_said(data: bytes, encoding: str, by: str) -> None:
    """By a mark, by NULs, as UTF-8, or as the only reading that is left."""
    table = opened(data)
    assert (table.found.encoding, table.found.encoding_by) == (encoding, by)
    assert list(table.rows()) == ROWS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_found_where_few_characters_have_a_nul(encoding: str) -> None:
    """Digits, delimiters and line ends are enough."""
    assert opened(CHINESE.encode(encoding)).found.encoding == encoding


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TEXT.encode("cp1252"), "windows-1252"),
        (TEXT.encode("utf-16"), "utf-16"),
        (TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("utf-8-sig"), "utf-8"),
    ],
)
def test_an_encoding_that_is_said_is_taken(data: bytes, said: str) -> None:
    """A mark that agrees with it is not part of the first heading."""
    assert read(data, Said(encoding=said)) == ROWS  # type: ignore[arg-type]  # one of them


@pytest.mark.parametrize("place", [0, 1, 2, CHUNK - 30, CHUNK - 26, CHUNK - 25, CHUNK, 3 * CHUNK])
@pytest.mark.parametrize("bad", [b"\xfc", b"\xe4\xf6", b"\xff\xe9"])
def test_windows_1252_is_found_wherever_its_first_byte_is(place: int, bad: bytes) -> None:
    """A long beginning of ASCII tells nothing."""
    data = b"Phone,Name\n" + b"1,aaaaaaa\n" * (place // 10) + b"x" * (place % 10) + bad + b",B\n"
    found = opened(data).found
    assert (found.encoding, found.encoding_by) == ("windows-1252", "content")
    assert read(data)[-1][1][0].endswith(bad.decode("cp1252"))


@pytest.mark.parametrize(
    ("data", "row", "byte"),
    [
        # UTF-8 elsewhere: before the bad byte, after it, far away, cut by the end of a chunk.
        ("Phone,Name\n1,ü\n2,".encode() + b"\xfc\n", 3, 19),
        (b"Phone,Name\n1,\xfc\n2," + "ü\n".encode(), 2, 14),
        (b"Phone,Name\n1,\xfc\n" + b"1,aaaaaaa\n" * CHUNK + "ü\n".encode(), 2, 14),
        (b"Phone,Name\n1,\xfc\n" + b"x" * (CHUNK - 17) + "€\n".encode(), 2, 14),
        # A byte that means nothing in Windows-1252.
        (b"Phone,Name\n1,\xfc\n2,\x81\n", 2, 14),
        (b"Phone,Name\n1,\x9d\n", 2, 14),
        # A character cut off by the end of the file.
        ("Phone,Name\n1,ü\n2,".encode() + b"\xc3", 3, 19),
        ("\ufeffPhone\n1\n".encode() + b"\xc3", 3, 12),
        (b"Phone,Name\n2,\xe2\x81", 2, 14),
        # A file that is no text at all, and of no kind that is known.
        (b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0", 1, 3),
        (random.Random(1).randbytes(5000), 1, 1),
    ],
)
def test_a_byte_that_is_neither_is_named(data: bytes, row: int, byte: int) -> None:
    """What may be UTF-8 with an error, or nothing known, is not read as Windows-1252."""
    with pytest.raises(ParseError) as caught:
        read(data)
    error = caught.value
    assert (error.code, error.row) == ("bad-encoding", row)
    assert f"Byte {byte} " in str(error)
    assert "`encoding`" in str(error)


@pytest.mark.parametrize(
    ("data", "said", "row", "names"),
    [
        (b"Phone\nf\xfcr\n", "utf-8", 2, "Byte 8 of the text is not UTF-8"),
        (b"Phone\nf\x81r\n", "windows-1252", 2, "Byte 8 of the text is not Windows-1252"),
        (TEXT.encode("utf-16-le")[:-1], "utf-16-le", 2, "not UTF-16 (little-endian)"),
        ("Phone\n".encode("utf-16-be") + b"\xd8\0\0A", "utf-16-be", 2, "Byte 13 "),
        (TEXT.encode("utf-16"), "utf-8", 1, "Byte 1 "),
    ],
)
def test_an_encoding_that_is_wrongly_said_is_an_error(
    data: bytes, said: str, row: int, names: str
) -> None:
    """The sender's word is not improved on, and nothing is said of encodings not tried."""
    with pytest.raises(ParseError) as caught:
        read(data, Said(encoding=said))  # type: ignore[arg-type]  # one of them
    assert (caught.value.code, caught.value.row) == ("bad-encoding", row)
    assert names in str(caught.value)
    assert "Windows-1252" not in str(caught.value).replace(names, "")


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
def test_utf_32_is_told_apart(encoding: str) -> None:
    """Its mark begins like that of UTF-16."""
    data = "\ufeffPhone\n1\n".encode(encoding)
    with pytest.raises(ParseError, match="UTF-32"):
        opened(data)
