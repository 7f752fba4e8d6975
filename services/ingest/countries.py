"""Finds a country by what people write for it: a code, a calling code or a name. Pure.

The names are those of Unicode CLDR, in the country's own languages and in the forty that
headings are known in. They are kept in a file beside this one, which its test writes anew:
the whole library would cost a running ingest some 50 MiB.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files

import phonenumbers

from services.ingest.folding import fold

#: Longer than any country's name; what is longer is some other text.
_LONGEST = 64
_CALLING_CODE = re.compile(r"(?:\+|00)?([1-9][0-9]{0,2})")

#: Names in use that CLDR has another one for, and countries that share another's numbers.
_ALSO = {
    "GB": "England, Scotland, Wales, Northern Ireland, Great Britain, Britain, "
    "United Kingdom of Great Britain and Northern Ireland, Großbritannien, Grande-Bretagne, "
    "Gran Bretaña, Gran Bretagna, Grã-Bretanha, Groot-Brittannië, Wielka Brytania, Англия",
    "US": "United States of America, America, U.S.A., Etats Unis d'Amérique, "
    "Estados Unidos de América, Stati Uniti d'America, Vereinigte Staaten von Amerika, EEUU",
    "AE": "UAE, Emirates, VAE",
    "BO": "Plurinational State of Bolivia",
    "BN": "Brunei Darussalam",
    "CD": "Democratic Republic of the Congo, DR Congo, DRC",
    "CG": "Republic of the Congo",
    "CI": "Ivory Coast, Elfenbeinküste",
    "CV": "Cabo Verde",
    "CZ": "Czech Republic, Tschechische Republik, République tchèque, Česká republika",
    "FM": "Federated States of Micronesia",
    "HK": "Hong Kong",
    "IR": "Islamic Republic of Iran",
    "KP": "Democratic People's Republic of Korea",
    "KR": "Republic of Korea, Korea",
    "LA": "Lao People's Democratic Republic",
    "MD": "Republic of Moldova",
    "MK": "Macedonia",
    "MM": "Burma, Myanmar",
    "MO": "Macau, Macao",
    "NL": "Holland, The Netherlands",
    "PS": "Palestine, State of Palestine",
    "RU": "Russian Federation, Российская Федерация",
    "SK": "Slovak Republic",
    "SY": "Syrian Arab Republic",
    "SZ": "Swaziland",
    "TL": "East Timor",
    "TR": "Turkey",
    "TW": "Republic of China",
    "TZ": "United Republic of Tanzania",
    "VA": "Holy See, Vatican",
    "VE": "Bolivarian Republic of Venezuela",
    "VN": "Viet Nam",
}


def region_of(country: str) -> str | None:
    """Find the ISO 3166 region of a country: a code of two or three letters, a calling code or a name.

    Case, accents and punctuation make no difference. `None` if there is none, or if the name
    is that of several countries in different languages. A calling code that several
    countries share stands for the main one, which reads a national number all the same.
    """
    written = country.strip()
    return _region(written) if 0 < len(written) <= _LONGEST else None


@lru_cache(maxsize=1024)
def _region(written: str) -> str | None:
    code = written.upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    if code == "UK":  # not ISO's code for it, but what people write
        return "GB"
    calling_code = _CALLING_CODE.fullmatch(code)
    if calling_code is None:
        return _names().get(fold(written))
    region = phonenumbers.region_code_for_country_code(int(calling_code[1]))
    return region if region in phonenumbers.SUPPORTED_REGIONS else None


@cache
def _names() -> dict[str, str]:
    """Give regions by folded name, read when a country is first met by its name."""
    names: dict[str, str | None] = {}
    codes: dict[str, str] = {}
    text = files("services.ingest").joinpath("country_names.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        region, letters, written = line.split("\t")
        codes |= dict.fromkeys(map(fold, letters.split()), region)
        for name in written.split("|"):
            key = fold(name)
            names[key] = region if names.get(key, region) == region else None
    ours = {fold(name): region for region, also in _ALSO.items() for name in also.split(", ")}
    # Codes win: Nga is Russia in Vietnamese, and NGA is Nigeria.
    return {name: region for name, region in names.items() if region} | ours | codes
