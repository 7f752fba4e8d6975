"""Writes the names of countries from Unicode CLDR.

Run as `python -m tests.unit.country_names > services/ingest/country_names.txt`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import babel
import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.languages import get_official_languages

from services.ingest.folding import fold

#: The languages that headings are known in.
LANGUAGES = re.findall(
    r"\w+",
    "en de fr es it pt nl sv da nb fi is et lv lt pl cs sk sl hr hu sq tr el ru uk bg he ar fa "
    "hi th vi id zh zh_Hant ja ko ro sr ca",
)
#: So short a name in Latin letters reads as a code.
_SHORTEST = 4


def written() -> str:
    """Give the file: region, its codes of three letters, its names, and CLDR's license."""
    license_text = (Path(babel.__file__).parent / "locale-data" / "LICENSE.unicode").read_text(
        encoding="utf-8"
    )
    lines = [
        "# Names of countries from Unicode CLDR, made by tests/unit/country_names.py.",
        "#",
        *(f"# {line}".rstrip() for line in license_text.splitlines()),
    ]
    lines += [
        "\t".join((region, " ".join(_codes(region)), "|".join(_names(region))))
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    ]
    return "\n".join(lines) + "\n"


def _codes(region: str) -> list[str]:
    aliases = get_global("territory_aliases")
    return sorted(code for code, of in aliases.items() if of == [region] and _is_alpha_3(code))


def _is_alpha_3(code: str) -> bool:
    return len(code) == 3 and code.isalpha()


def _names(region: str) -> list[str]:
    own = get_official_languages(region, regional=True, de_facto=True)
    names: dict[str, str] = {}
    for language in (*LANGUAGES, *own):
        try:
            name = Locale.parse(language).territories.get(region)
        except UnknownLocaleError:
            continue
        key = fold(name or "")
        if key and not (key.isascii() and len(key) < _SHORTEST):
            names.setdefault(key, str(name))
    return list(names.values())


if __name__ == "__main__":
    sys.stdout.write(written())
