"""A small client of ingest's and results' HTTP APIs, for the demo and for tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

_SECONDS = 60.0
_PAGE = 1000


class ApiClient:
    """Speaks to both programs with one token, blocking; an error answer raises `HTTPStatusError`.

    Args:
        ingest: Base URL of ingest.
        results: Base URL of results.
        token: Bearer token that both know.
    """

    def __init__(self, ingest: str, results: str, token: str) -> None:
        self._ingest = ingest
        self._results = results
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"}, timeout=_SECONDS, trust_env=False
        )

    def submit(
        self, content: bytes, *, key: str | None = None, **options: str
    ) -> Mapping[str, Any]:
        """Send a CSV file; gives the job: `job_id`, `accepted`, `rejected`, `duplicates`, `links`.

        Args:
            content: The file.
            key: Idempotency key.
            options: Query parameters of `POST /v1/jobs`.
        """
        headers = {"Content-Type": "text/csv"} | ({} if key is None else {"Idempotency-Key": key})
        return self._sent(
            self._http.post(
                f"{self._ingest}/v1/jobs", content=content, headers=headers, params=options
            )
        )

    def job(self, job_id: str, *, breakdown: bool = True) -> Mapping[str, Any]:
        """A job as results shows it; `breakdown` adds up what came of it, which is slower."""
        return self.get(f"/v1/jobs/{job_id}", breakdown=str(breakdown).lower())

    def results(self, job_id: str, **filters: str) -> Iterator[Mapping[str, Any]]:
        """Every contact of a job, in the order of the file."""
        return self.pages(f"/v1/jobs/{job_id}/results", **filters)

    def rejected(self, job_id: str) -> Iterator[Mapping[str, Any]]:
        """Every rejected row of a job."""
        return self.pages(f"/v1/jobs/{job_id}/rejected")

    def pages(self, path: str, **parameters: str) -> Iterator[Mapping[str, Any]]:
        """Every item of a list of results', page after page."""
        parameters = {"limit": str(_PAGE), **parameters}
        while True:
            page = self.get(path, **parameters)
            yield from page["items"]
            if page["next"] is None:
                return
            parameters["after"] = page["next"]

    def get(self, path: str, **parameters: str) -> Mapping[str, Any]:
        """GET a path of results."""
        return self._sent(self._http.get(f"{self._results}{path}", params=parameters))

    def post(self, path: str, body: Any) -> Mapping[str, Any]:
        """POST JSON to a path of results."""
        return self._sent(self._http.post(f"{self._results}{path}", json=body))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def _sent(response: httpx.Response) -> Mapping[str, Any]:
        if response.is_error:
            raise httpx.HTTPStatusError(
                f"HTTP {response.status_code}: {response.text}",
                request=response.request,
                response=response,
            )
        answer: Mapping[str, Any] = response.json()
        return answer
