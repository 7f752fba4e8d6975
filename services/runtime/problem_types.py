"""The types of problems: what each means and the way out. Pure.

Callers tell problems apart by type and status, so neither of one that was ever sent changes.
What a program alone answers with stands in its own `problem_types`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The member of a problem that passes.
LATER = {"retry_after": "Seconds after which to try again; in the header `Retry-After` too."}


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of answer that is not a success.

    Args:
        slug: Names it, within `uri`.
        status: HTTP status.
        title: What it is, the same each time.
        meaning: When it is answered.
        way_out: What the caller does about it.
        members: What the document has besides the members of every problem, and what they are.
    """

    slug: str
    status: int
    title: str
    meaning: str
    way_out: str
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The document's member `type`."""
        return f"urn:bulk-lookup:problem:{self.slug}"


UNREADABLE = ProblemType(
    "unreadable",
    400,
    "The request cannot be read",
    "What was sent is no HTTP, its head is over 64 KiB or not whole within 30 s, or its body is no "
    "text in UTF-8.",
    "Mend the client; JSON is sent in UTF-8.",
)
UNAUTHORIZED = ProblemType(
    "unauthorized",
    401,
    "A token is needed",
    "There is no token, or it is not known.",
    "Send the header `Authorization: Bearer TOKEN` with one of API_TOKENS.",
)
NOT_FOUND = ProblemType(
    "not-found",
    404,
    "There is nothing here",
    "No route has this path.",
    "Check the path; `/docs` lists those there are.",
)
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed",
    405,
    "This method is not for this address",
    "The path is right, and the method is not.",
    "The header `Allow` lists those there are.",
)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    422,
    "The request is not valid",
    "A parameter, a header or a field of the body is not as the API describes it.",
    "Mend what `errors` names.",
    {"errors": "Each with `field`, where it stands, and `message`, what is wrong with it."},
)
INTERNAL = ProblemType(
    "internal",
    500,
    "The service failed on this request",
    "A fault of the service, never of the request.",
    "Report it with `request_id`; the service's log has more under it.",
)
STARTING = ProblemType(
    "starting",
    503,
    "Not ready yet",
    "The program listens, and still waits for what it needs; `detail` says for what.",
    "Try again; if it lasts, mend what it waits for.",
    LATER,
)
UNAVAILABLE = ProblemType(
    "unavailable",
    503,
    "A part that is needed is away",
    "Kafka, PostgreSQL or room on the disk is not there now, or the program is stopping.",
    "Send the same again after a while: what was done already is not done twice.",
    LATER,
)

#: What every program with an API answers.
SHARED = (
    UNREADABLE,
    UNAUTHORIZED,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    INVALID_REQUEST,
    INTERNAL,
    STARTING,
    UNAVAILABLE,
)
