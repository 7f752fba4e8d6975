"""Settings of the results program."""

from __future__ import annotations

from services.runtime.settings import ApiSettings, DatabaseSettings, ProgramSettings


class ResultsSettings(ProgramSettings, DatabaseSettings, ApiSettings):
    """What results needs: Kafka, PostgreSQL, and who may use its API."""
