"""What is read as a country."""

from __future__ import annotations

from importlib.resources import files

import pytest

from services.ingest.countries import region_of
from tests.unit import country_names


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("DE", "DE"),
        (" de", "DE"),
        ("uk", "GB"),
        ("DEU", "DE"),
        ("usa", "US"),
        ("U.S.A.", "US"),
        ("+1", "US"),
        ("0049", "DE"),
        ("49", "DE"),
        ("Germany", "DE"),
        ("deutschland", "DE"),
        ("ALEMANIA", "DE"),
        ("Германия", "DE"),
        ("日本", "JP"),
        ("TÜRKİYE", "TR"),
        ("turkey", "TR"),
        ("Cote d'Ivoire", "CI"),
        ("Hong-Kong", "HK"),
        ("England", "GB"),
        ("The Netherlands", "NL"),
        ("Korea, Republic of", None),
        ("South Korea", "KR"),
        ("NGA", "NG"),  # also Russia in Vietnamese: codes win
        ("Kongo", None),  # two countries, in different languages
        ("", None),
        ("D", None),
        ("999", None),
        ("+800", None),
        ("ZZ", None),
        ("Germany" * 100, None),
    ],
)
def test_region_of_a_country(country: str, region: str | None) -> None:
    """A country is a code of two or three letters, a calling code, or a name in many languages."""
    assert region_of(country) == region


def test_the_names_are_those_of_cldr() -> None:
    """The file of names is what is made of the library's data, so that nobody edits it by hand."""
    kept = files("services.ingest").joinpath("country_names.txt").read_text(encoding="utf-8")
    assert kept == country_names.written(), (
        "run: python -m tests.unit.country_names > services/ingest/country_names.txt"
    )
