"""The problems that ingest alone answers with. Pure."""

from __future__ import annotations

from services.runtime.problem_types import LATER, ProblemType

_JOB_ID = {"job_id": "The job's id."}

BODY_CUT = ProblemType(
    "body-cut",
    400,
    "The body broke off",
    "The connection ended before the file did. Nothing was taken.",
    "Send it again.",
)
BODY_TOO_SLOW = ProblemType(
    "body-too-slow",
    408,
    "The body comes too slowly",
    "For half a minute nothing came, or less than 1 KiB a second on the average.",
    "Nothing was taken: send it again, compressed with gzip if the way is narrow.",
)
IDEMPOTENCY_KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    409,
    "The key was used for something else",
    "A job was sent under this Idempotency-Key with another content or other options.",
    "Send a new job under a new key, or exactly what was sent before to see that job.",
    {"differs": "`content` or `options`."} | _JOB_ID,
)
IN_PROGRESS = ProblemType(
    "in-progress",
    409,
    "The job is under way",
    "Another process publishes this very job now.",
    "Send the same again after a while to see how it ended.",
    LATER | _JOB_ID,
)
FILE_TOO_LARGE = ProblemType(
    "file-too-large",
    413,
    "The file is too large",
    "The file has more bytes than MAX_UPLOAD_BYTES.",
    "Split the file, or raise MAX_UPLOAD_BYTES.",
    {"max_bytes": "MAX_UPLOAD_BYTES."},
)
UNSUPPORTED_TYPE = ProblemType(
    "unsupported-type",
    415,
    "This type of body is not taken",
    "The Content-Type is none of a file that is read.",
    "Send a file with its type as `Content-Type`, or in a multipart form; "
    "`application/octet-stream` will do for every file.",
    {"types": "Types that are taken."},
)
UNSUPPORTED_CHARSET = ProblemType(
    "unsupported-charset",
    415,
    "This encoding is not read",
    "The charset of Content-Type is not among UTF-8, UTF-16 and Windows-1252.",
    "Save the file in UTF-8; if the charset is not true, leave it out.",
)
ENCODED_BODY = ProblemType(
    "encoded-body",
    415,
    "This Content-Encoding is not taken",
    "The Content-Encoding is neither `identity` nor `gzip`.",
    "Send the file as it is, or compressed with gzip.",
)
BAD_FILE = ProblemType(
    "bad-file",
    422,
    "The file cannot be taken",
    "The file is damaged, of a kind that is not read, or its columns are not clear.",
    "`detail` says where it is and what to do.",
    {
        "code": "What is wrong, from the list below.",
        "row": "Where it is, as the program that wrote the file counts; null without a place.",
        "column": "The heading of the column; null without a place.",
        "columns": "If the columns are not clear: those there are.",
        "candidates": "If the columns are not clear: those that may hold the numbers.",
    },
)
BAD_FORM = ProblemType(
    "bad-form",
    422,
    "The form cannot be taken",
    "The body is no whole multipart form with one file and nothing else.",
    "Send one file and no other field; options go into the query.",
)
UNKNOWN_ACCOUNT = ProblemType(
    "unknown-account",
    422,
    "There is no such account",
    "The account is neither DEFAULT_ACCOUNT nor among ACCOUNTS of ingest.",
    "Name one of `accounts`, or none.",
    {"accounts": "Those that may be named."},
)

OF_INGEST = (
    BODY_CUT,
    BODY_TOO_SLOW,
    IDEMPOTENCY_KEY_REUSED,
    IN_PROGRESS,
    FILE_TOO_LARGE,
    UNSUPPORTED_TYPE,
    UNSUPPORTED_CHARSET,
    ENCODED_BODY,
    BAD_FILE,
    BAD_FORM,
    UNKNOWN_ACCOUNT,
)
