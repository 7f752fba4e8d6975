"""What columns of phone numbers, countries and references are called, in some forty languages."""

from __future__ import annotations

from services.ingest.folding import fold


def _keys(*lines: str) -> tuple[str, ...]:
    return tuple(fold(name) for line in lines for name in line.split(","))


PHONE = frozenset(
    _keys(
        "phone, phone number, phone no, phone nr, phone num, telephone, telephone number, tel",
        "tel no, tel number, mobile, mobile phone, mobile number, mobile no, cell, cell phone",
        "cell number, cellular, contact number, contact phone, work phone, home phone, msisdn",
        "e164, whatsapp, whatsapp number, customer phone, primary phone, phone e164, landline",
        "landline number, business phone, office phone, other phone, mobile phone number",
        # German, Dutch
        "Telefon, Telefonnummer, Telefonnr, Tel nr, Rufnummer, Handy, Handynummer, Handynr",
        "Mobil, Mobilnummer, Mobiltelefon, Mobilfunknummer, telefoon, telefoonnummer, mobiel",
        "mobiel nummer, gsm, gsm nummer, Festnetz, Festnetznummer, vaste telefoon",
        # French, Italian, Spanish, Portuguese, Romanian
        "téléphone, numéro de téléphone, n° de téléphone, n° téléphone, num tel, numéro, portable",
        "téléphone portable, téléphone mobile, téléphone fixe, fixe, telefono fijo, telefone fixo",
        "telefono, numero di telefono, cellulare, n telefono",
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
COUNTRY = _keys(
    "country iso, iso country, iso country code, country iso code, country code iso, iso2, iso",
    "country code, phone country, country",
    "Ländercode, Länderkennzeichen, Landescode, Land, landcode, landkode, landskod, code pays",
    "pays, código de país, codigo pais, país, paese, codice paese, nazione, țară, maa, ország",
    "kraj, kod kraju, země, krajina, država, ülke, χώρα, страна, код страны, країна, ארץ, البلد",
    "الدولة, देश, ประเทศ, quốc gia, negara, 国家, 国, 國家, 国名, 국가",
)

REFERENCE = _keys(
    "reference, client reference, customer reference, your reference, external id, external ref",
    "ref, reference id, customer id, customer no, customer nr, customer number, client id",
    "contact id, lead id, crm id, user id, record id, account id, account number, id",
    "Kundennummer, Kundennr, Kunden id, Referenz, klantnummer, référence, numéro client, n° client",
    "id client, identifiant, referencia, id cliente, numero de cliente, riferimento, kundnummer",
    "kundenummer, numer klienta, id клиента, номер клиента, 客户编号, 顧客番号, 고객번호",
)
