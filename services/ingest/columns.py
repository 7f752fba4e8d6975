"""Finds the columns of a file by their headings, or by the names given for them. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.contracts.masking import mask_text
from services.ingest.parse_error import ParseError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How many headings an error lists.
_LISTED = 30
_SHOWN_CHARS = 40
#: Turkish capitals fold to an i with its dot: both are read as one letter.
_DOTLESS_I = "\u0131"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file: its place, from 0, and its heading as written, blanks stripped."""

    index: int
    heading: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are read; the others are not."""

    phone: Column
    country: Column | None
    reference: Column | None


def find_columns(
    headings: Sequence[str], *, phone: str | None, country: str | None, reference: str | None
) -> Columns:
    """Find the columns by the names given, or else by what such columns are usually called.

    Case, spaces, underscores, accents and punctuation make no difference. Of several
    headings that mean a country, or a reference, the most telling one is taken; two that
    mean a phone number are a choice only the sender can make.

    Raises `ParseError` when there is no phone column, several, or none of a given name.
    """
    return Columns(
        phone=_named(headings, phone, "phone_column") if phone else _phone(headings),
        country=_named(headings, country, "country_column")
        if country
        else _most_telling(headings, _COUNTRY),
        reference=_named(headings, reference, "reference_column")
        if reference
        else _most_telling(headings, _REFERENCE),
    )


def _phone(headings: Sequence[str]) -> Column:
    found = [
        Column(index, heading.strip())
        for index, heading in enumerate(headings)
        if (key := _key(heading)) in _PHONE or key.rstrip("0123456789") in _PHONE
    ]
    if not found:
        raise ParseError(
            "no-phone-column",
            f"No column has a heading that means a phone number. {_seen(headings)} "
            "Name the column by `phone_column`, or give it the heading 'Phone'; "
            "the first row must hold the headings.",
        )
    if len(found) > 1:
        raise ParseError(
            "ambiguous-column",
            f"Several columns may hold the phone number: {_list([c.heading for c in found])}. "
            "Name the one to use by `phone_column`.",
        )
    return found[0]


def _named(headings: Sequence[str], name: str, option: str) -> Column:
    exact = [i for i, heading in enumerate(headings) if heading.strip() == name.strip()]
    found = exact or [i for i, heading in enumerate(headings) if _key(heading) == _key(name)]
    shown = _shown(name)
    if not found:
        raise ParseError(
            "no-such-column",
            f"No column is called {shown}. {_seen(headings)} Correct `{option}`.",
            column=name,
        )
    if len(found) > 1:
        raise ParseError(
            "ambiguous-column",
            f"{len(found)} columns are called {shown}. Give each column a heading of its own.",
            column=name,
        )
    return Column(found[0], headings[found[0]].strip())


def _most_telling(headings: Sequence[str], names: Sequence[str]) -> Column | None:
    keys = [_key(heading) for heading in headings]
    for name in names:
        if name in keys:
            index = keys.index(name)
            return Column(index, headings[index].strip())
    return None


def _seen(headings: Sequence[str]) -> str:
    return f"The first row reads: {_list(headings)}."


def _list(headings: Sequence[str]) -> str:
    shown = ", ".join(map(_shown, headings[:_LISTED]))
    return shown if len(headings) <= _LISTED else f"{shown} and {len(headings) - _LISTED} more"


def _shown(heading: str) -> str:
    # The first row of a file without headings is a contact: numbers in it are masked.
    text = mask_text(" ".join(heading.split()))
    return f"'{text}'" if len(text) <= _SHOWN_CHARS else f"'{text[:_SHOWN_CHARS]}…'"


def _key(heading: str) -> str:
    """Reduce a heading to its letters and digits, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", heading).casefold().replace(_DOTLESS_I, "i")
    return "".join(filter(str.isalnum, decomposed))


def _keys(*lines: str) -> tuple[str, ...]:
    return tuple(_key(name) for line in lines for name in line.split(","))


_PHONE = frozenset(
    _keys(
        "phone, phone number, phone no, phone nr, phone num, telephone, telephone number, tel",
        "tel no, tel number, mobile, mobile phone, mobile number, mobile no, cell, cell phone",
        "cell number, cellular, contact number, contact phone, work phone, home phone, msisdn",
        "e164, whatsapp, whatsapp number, customer phone, primary phone, phone e164",
        # German, Dutch
        "Telefon, Telefonnummer, Telefonnr, Tel nr, Rufnummer, Handy, Handynummer, Handynr",
        "Mobil, Mobilnummer, Mobiltelefon, Mobilfunknummer, telefoon, telefoonnummer, mobiel",
        "mobiel nummer, gsm, gsm nummer",
        # French, Italian, Spanish, Portuguese, Romanian
        "téléphone, numéro de téléphone, n° de téléphone, n° téléphone, num tel, numéro, portable",
        "téléphone portable, téléphone mobile, telefono, numero di telefono, cellulare, n telefono",
        "numero de telefono, telefono movil, movil, celular, telefone, numero de telefone",
        "telemóvel, telefone celular, număr de telefon, numar telefon, nr telefon",
        # Swedish, Danish, Norwegian, Finnish, Icelandic, Estonian, Latvian, Lithuanian
        "tlf, tlf nr, telefonnummer, mobilnr, mobiltelefonnummer, puhelin, puhelinnumero",
        "matkapuhelin, sími, símanúmer, telefoninumber, tālrunis, telefonas, telefono numeris",
        # Polish, Czech, Slovak, Slovene, Croatian, Hungarian, Albanian, Turkish
        "numer telefonu, nr telefonu, komórka, telefonní číslo, telefon číslo, telefónne číslo",
        "telefonska številka, broj telefona, telefonszám, numri i telefonit, telefon numarasi",
        "cep telefonu",
        # Greek, Russian, Ukrainian, Bulgarian
        "τηλέφωνο, αριθμός τηλεφώνου, κινητό, телефон, номер телефона, мобильный телефон",
        "мобильный, номер телефону, мобільний, телефонен номер",
        # Hebrew, Arabic, Persian, Hindi, Thai, Vietnamese, Indonesian
        "טלפון, מספר טלפון, نייד, هاتف, الهاتف, رقم الهاتف, جوال, تلفن, شماره تلفن, फ़ोन, फ़ोन नंबर",
        "โทรศัพท์, หมายเลขโทรศัพท์, điện thoại, số điện thoại, telepon, nomor telepon, no telepon",
        # Chinese, Japanese, Korean
        "电话, 电话号码, 手机, 手机号, 手机号码, 電話, 電話號碼, 手機, 手機號碼, 電話番号, 携帯",
        "携帯電話, 携帯番号, 전화, 전화번호, 휴대폰, 휴대폰번호, 휴대전화",
    )
)

#: The most telling first: codes before names.
_COUNTRY = _keys(
    "country iso, iso country, iso country code, country iso code, country code iso, iso2, iso",
    "country code, phone country, country",
    "Ländercode, Länderkennzeichen, Landescode, Land, landcode, landkode, landskod, code pays",
    "pays, código de país, codigo pais, país, paese, codice paese, nazione, țară, maa, ország",
    "kraj, kod kraju, země, krajina, država, ülke, χώρα, страна, код страны, країна, ארץ, البلد",
    "الدولة, देश, ประเทศ, quốc gia, negara, 国家, 国, 國家, 国名, 국가",
)

_REFERENCE = _keys(
    "reference, client reference, customer reference, your reference, external id, external ref",
    "ref, reference id, customer id, customer no, customer nr, customer number, client id",
    "contact id, lead id, crm id, user id, record id, account id, account number, id",
    "Kundennummer, Kundennr, Kunden id, Referenz, klantnummer, référence, numéro client, n° client",
    "id client, identifiant, referencia, id cliente, numero de cliente, riferimento, kundnummer",
    "kundenummer, numer klienta, id клиента, номер клиента, 客户编号, 顧客番号, 고객번호",
)
