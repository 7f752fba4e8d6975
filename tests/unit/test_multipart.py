from collections.abc import AsyncIterator

import pytest

from services.ingest.multipart import MOST_AFTER, MultipartError, MultipartFile

TYPE = "multipart/form-data; boundary=b0"
FILE = b"Phone\r\n+12025550123\r\n--b\r\n"
PART = (
    b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n'
    b"Content-Type: text/csv\r\n\r\n" + FILE + b"\r\n"
)
FIELD = b'--b0\r\nContent-Disposition: form-data; name="packages"\r\n\r\nbasic\r\n'
END = b"--b0--\r\n"


async def _read(body: bytes, step: int) -> tuple[bytes, str | None]:
    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    form = MultipartFile(TYPE)
    return b"".join([chunk async for chunk in form.chunks(stream())]), form.file_name


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
async def test_the_file_comes_out_however_the_body_is_cut(step: int) -> None:
    """Every byte of the file, and its name, whatever chunks the network makes."""
    assert await _read(PART + END, step) == (FILE, "a.csv")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PART, "ends before"),
        (PART[:-40], "ends before"),
        (b"Phone\r\n", "not a whole"),
        (FIELD + PART + END, "no other field"),
        (PART + PART + END, "no other field"),
        (b"", "ends before"),
    ],
)
async def test_a_form_that_is_not_whole_or_holds_more_is_refused(body: bytes, said: str) -> None:
    """A cut form is never taken for a shorter file, and no field is silently left out."""
    with pytest.raises(MultipartError, match=said):
        await _read(body, 16)


async def test_what_follows_the_form_is_left_out_and_has_an_end() -> None:
    """Some text may stand behind the last boundary; it does not go on for ever."""
    assert await _read(PART + END + b"The end.\r\n", 16) == (FILE, "a.csv")
    with pytest.raises(MultipartError, match="last boundary"):
        await _read(PART + END + b"x" * (MOST_AFTER + 16), 16)


def test_a_form_without_a_boundary_is_refused() -> None:
    """Without a boundary nothing tells the file from the form."""
    with pytest.raises(MultipartError, match="boundary"):
        MultipartFile("multipart/form-data")
