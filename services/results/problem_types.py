"""The problems that results alone answers with. Pure."""

from __future__ import annotations

from services.runtime.problem_types import LATER, STARTING, UNAVAILABLE, UNREADABLE, ProblemType

UNKNOWN_JOB = ProblemType(
    "unknown-job",
    404,
    "There is no such job",
    "No job has this id.",
    "Take the id that ingest answered with; `GET /v1/jobs` lists those there are.",
)
REFUSED_BY_KAFKA = ProblemType(
    "refused-by-kafka",
    503,
    "Kafka does not take it",
    "Kafka refuses to keep what a person did: what was held, or ran, does so still, in part at "
    "least.",
    "The service's log says why, under `request_id`; mend that and try again.",
    LATER,
)

TOO_MANY_EXPORTS = ProblemType(
    "too-many-exports",
    503,
    "Too many files are written now",
    "As many files of whole jobs are being written as are at a time.",
    "Try again when one of them is done, or read the list by the page.",
    LATER,
)

#: What a person's act may be answered with besides what every route is.
ACT = (UNREADABLE, STARTING, UNAVAILABLE, REFUSED_BY_KAFKA)

OF_RESULTS = (UNKNOWN_JOB, REFUSED_BY_KAFKA, TOO_MANY_EXPORTS)
