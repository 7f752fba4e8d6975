"""Reads the body of a request onto the disk: a CSV file as it is, or in a multipart form."""

from __future__ import annotations

from fastapi import Request
from starlette.requests import ClientDisconnect

from services.ingest.door import away
from services.ingest.multipart import MultipartError, MultipartFile
from services.ingest.spool import Spool, SpooledFile, SpoolFullError, UploadTooLargeError
from services.runtime.problems import Problem

_MULTIPART = "multipart/form-data"
# Windows' browsers call a CSV file what they would open it with.
_PLAIN = {
    "",
    "text/csv",
    "application/csv",
    "text/plain",
    "application/octet-stream",
    "application/vnd.ms-excel",
}


async def spool_body(request: Request, spool: Spool) -> tuple[SpooledFile, str | None]:
    """Put the file of a request on the disk; gives it, and its name if the body has one.

    The file is the caller's to close; after any error there is none.

    Raises:
        Problem: It is too large (413), no CSV by its type (415), not whole (400, 422), or
            there is no room (503).
    """
    kind = _kind(request)
    try:
        file = spool.open(_announced(request))
        try:
            if kind == _MULTIPART:
                form = MultipartFile(request.headers["content-type"])
                await file.fill(form.chunks(request.stream()))
                return file, form.file_name
            await file.fill(request.stream())
        except BaseException:
            file.close()
            raise
    except UploadTooLargeError:
        raise Problem(
            413,
            "file-too-large",
            "The file is too large",
            "Split the file, or raise MAX_UPLOAD_BYTES.",
            max_bytes=spool.max_upload,
        ) from None
    except SpoolFullError:
        raise away("There is no room on disk for the file now.") from None
    except MultipartError as error:
        raise Problem(422, "bad-form", "The form cannot be taken", str(error)) from None
    except ClientDisconnect:
        raise Problem(
            400, "body-cut", "The body broke off", "Nothing was taken; send it again."
        ) from None
    else:
        return file, None


def _kind(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _MULTIPART and kind not in _PLAIN:
        raise Problem(
            415,
            "not-csv",
            "This kind of body is not taken",
            "Send a CSV file with `Content-Type: text/csv`, or one in a multipart form.",
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(
            415,
            "encoded-body",
            "A compressed body is not taken",
            "Send the file as it is, without Content-Encoding.",
        )
    return kind


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0
