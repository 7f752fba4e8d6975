"""Reads the body of a request onto the disk: a file as it is, or in a multipart form."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from services.ingest.door import away
from services.ingest.multipart import MultipartError, MultipartFile
from services.ingest.patience import Patience, TooSlowError
from services.ingest.problem_types import (
    BAD_FORM,
    BODY_CUT,
    BODY_TOO_SLOW,
    ENCODED_BODY,
    FILE_TOO_LARGE,
    UNSUPPORTED_CHARSET,
    UNSUPPORTED_TYPE,
)
from services.ingest.spool import Spool, SpooledFile, SpoolFullError, UploadTooLargeError
from services.ingest.tables.encodings import Encoding, encoding_named
from services.runtime.problems import Problem

_MULTIPART = "multipart/form-data"
_JSON = {
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/jsonlines",
}
_JSON_NAMES = (".json", ".jsonl", ".ndjson")
#: Types of files that may be taken. What a file is, its content says: browsers, for one, call
#: a CSV file what they would open it with.
TYPES = (
    "text/csv",
    "text/tab-separated-values",
    "application/json",
    "application/x-ndjson",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/gzip",
    "application/octet-stream",
)
_TAKEN = {
    "",
    *TYPES,
    *_JSON,
    "application/csv",
    "text/plain",
    "application/vnd.ms-excel",
    "application/vnd.ms-excel.sheet.macroenabled.12",
    "application/x-gzip",
}
#: How a body may be encoded on its way: gzip stays on it, and is undone as that of a file.
_CODINGS = {"", "identity", "gzip", "x-gzip"}
_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Body:
    """A file on the disk, and what came with it."""

    file: SpooledFile
    name: str | None
    #: The encoding that the request's type names, unless that is UTF-8, which programs write
    #: there without looking.
    encoding: Encoding | None
    #: Its type is one of JSON.
    is_json: bool


def named_as_json(name: str | None) -> bool:
    """Tell whether a file's name says JSON."""
    return (name or "").lower().removesuffix(".gz").endswith(_JSON_NAMES)


async def spool_body(request: Request, spool: Spool, patience: Patience = _PATIENCE) -> Body:
    """Put the file of a request on the disk.

    The file is the caller's to close; after any error there is none.

    Raises:
        Problem: It is too large (413), too slow (408), of a type that is not taken (415),
            not whole (400, 422), or there is no room (503).
    """
    kind, encoding = _kind(request)
    body = patience.with_body(request.stream())
    try:
        file = spool.open(_announced(request))
        try:
            if kind == _MULTIPART:
                form = MultipartFile(request.headers["content-type"])
                await file.fill(form.chunks(body))
                return Body(file, form.file_name, None, is_json=False)
            await file.fill(body)
        except BaseException:
            file.close()
            raise
    except UploadTooLargeError:
        raise Problem(
            FILE_TOO_LARGE,
            "Split the file, or raise MAX_UPLOAD_BYTES.",
            max_bytes=spool.max_upload,
        ) from None
    except SpoolFullError:
        raise away("There is no room on disk for the file now.") from None
    except MultipartError as error:
        raise Problem(BAD_FORM, str(error)) from None
    except TooSlowError:
        raise Problem(
            BODY_TOO_SLOW,
            "Nothing was taken: send it again, compressed with gzip if the way is narrow.",
        ) from None
    except ClientDisconnect:
        raise Problem(BODY_CUT, "Nothing was taken; send it again.") from None
    else:
        return Body(file, None, encoding, is_json=kind in _JSON)


def _kind(request: Request) -> tuple[str, Encoding | None]:
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    name = kind.decode("latin-1").strip().lower()
    if name != _MULTIPART and name not in _TAKEN:
        raise Problem(
            UNSUPPORTED_TYPE,
            "Send a file with its type as `Content-Type`, or in a multipart form. CSV of any "
            "kind is `text/csv`; `application/octet-stream` will do for every file.",
            types=[_MULTIPART, *TYPES],
        )
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    encoding = encoding_named(charset)
    if encoding is None:
        raise Problem(
            UNSUPPORTED_CHARSET,
            "The charset of Content-Type is not among UTF-8, UTF-16 and Windows-1252. Save the "
            "file in UTF-8; if the charset is not true, leave it out.",
        )
    if request.headers.get("content-encoding", "").strip().lower() not in _CODINGS:
        raise Problem(ENCODED_BODY, "Send the file as it is, or compressed with gzip.")
    return name, None if encoding == "utf-8" else encoding


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0
