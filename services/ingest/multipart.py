"""Takes the one file out of a multipart body while it streams."""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

#: Bytes that may follow a form, which nobody reads.
MOST_AFTER = 64 * 1024


class MultipartError(Exception):
    """The body is not a multipart form with exactly one file; the message says the way out."""


class MultipartFile:
    """A multipart form that holds one file and nothing else.

    Args:
        content_type: The request's header.

    Raises:
        MultipartError: It names no boundary.
    """

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise MultipartError("The header Content-Type names no boundary.")
        self.file_name: str | None = None
        self._found = False
        self._ended = False
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    async def chunks(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The file's bytes as they come.

        Raises:
            MultipartError: The body is no such form, or ends too early.
        """
        after = 0
        async for part in body:
            after += len(part) if self._ended else 0
            if after > MOST_AFTER:
                raise MultipartError("Something follows the form's last boundary.")
            try:
                self._parser.write(part)
            except FormParserError as error:
                raise MultipartError("The body is not a whole multipart form.") from error
            for chunk in self._data:
                yield chunk
            self._data.clear()
        if not self._ended:
            raise MultipartError("The multipart form ends before its last boundary.")
        if not self._found:
            raise MultipartError("The multipart form holds no file.")

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"filename")
        if name is None or self._found:
            raise MultipartError(
                "Send one file and no other field in the form; options go into the query."
            )
        self._found = True
        self.file_name = name.decode("utf-8", "replace")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _on_end(self) -> None:
        self._ended = True
