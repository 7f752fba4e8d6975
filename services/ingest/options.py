"""What a sender can say of a file and of the numbers in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from services.contracts.messages import MAX_EXTRA
from services.ingest.countries import region_of
from services.ingest.phone import Accept
from services.ingest.tables.encodings import Encoding, encoding_named
from services.ingest.tables.opening import Said

#: Columns of phone numbers that a file may be read from.
MAX_PHONE_COLUMNS = 16

#: Stand in the name of every job as they are, given or not, since the first version.
_ALWAYS_NAMED = ("phone_column", "country_column", "reference_column", "default_country")


def _several(value: Any) -> Any:
    """Take one name or several; those that are blank are not given."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple):
        return tuple(name for name in value if not isinstance(name, str) or name.strip()) or None
    return value


class Options(BaseModel):
    """How to read a file; what is not given is found in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phone_column: Annotated[
        Annotated[tuple[str, ...], Field(max_length=MAX_PHONE_COLUMNS)] | None,
        BeforeValidator(_several),
    ] = Field(
        default=None,
        description="Heading of the column of numbers; found by its heading, or by what it "
        "holds, without it. Given several times, each column's number is a contact of its own.",
    )
    country_column: str | None = Field(
        default=None, description="Heading of the column of countries; found by it without."
    )
    reference_column: str | None = Field(
        default=None, description="Heading of the column of your own ids; found by it without."
    )
    default_country: str | None = Field(
        default=None,
        description="Country of numbers written without calling code in rows that name none: "
        "a code of ISO 3166 such as DE, a calling code or a name.",
    )
    keep: Annotated[
        Annotated[tuple[str, ...], Field(max_length=MAX_EXTRA)] | None, BeforeValidator(_several)
    ] = Field(
        default=None,
        description="Heading of a column that comes back with the results; given several times, "
        f"up to {MAX_EXTRA} of them.",
    )
    header: bool | None = Field(
        default=None,
        description="Whether the first row holds headings; without it, it does unless a phone "
        "number stands there. The columns of a file without are called A, B, C and so on.",
    )
    guess: bool = Field(
        default=True,
        description="Whether the column of numbers may be found by what it holds; `false` "
        "refuses the file then, and names the column.",
    )
    accept: Accept = Field(
        default="valid",
        description="Which numbers are taken: `valid`, those that the country's numbering plan "
        "has, or `possible`, all of a length that numbers of the country have.",
    )
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        default=None,
        description="What stands between the cells of a CSV file; found from its first row "
        "without it.",
    )
    encoding: Encoding | None = Field(
        default=None, description="Of a text; found from its bytes without it."
    )
    sheet: str | None = Field(
        default=None,
        description="Name of the sheet of a workbook; the only one with rows without it.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_not_given(cls, value: object, info: ValidationInfo) -> object:
        # A tab is a delimiter, and no column is called by one.
        if isinstance(value, str) and value != "\t" and not value.strip():
            return cls.model_fields[str(info.field_name)].default
        return value

    @field_validator("delimiter", mode="before")
    @classmethod
    def _tab_by_name(cls, value: object) -> object:
        return "\t" if isinstance(value, str) and value.lower() in {"tab", r"\t"} else value

    @field_validator("encoding", mode="before")
    @classmethod
    def _known_encoding(cls, value: object) -> object:
        return (isinstance(value, str) and encoding_named(value)) or value

    @field_validator("default_country")
    @classmethod
    def _known_country(cls, value: str | None) -> str | None:
        if value is None:
            return None
        region = region_of(value)
        if region is None:
            raise ValueError("is no country; give two letters (ISO 3166) such as DE, US or GB")
        return region

    def said(self, *, json: bool) -> Said:
        """Give what a reader of the file must know; `json` as in `Said`."""
        return Said(self.delimiter, self.encoding, self.sheet, json)

    def named(self) -> dict[str, Any]:
        """Give what is part of a job's name: all that says how its contacts come out.

        What was added after the first version stands there only if it is given, so that no
        job of before has another name.
        """
        values = self.model_dump(exclude={"guess"}, exclude_defaults=True)
        if self.phone_column is not None:
            one = len(self.phone_column) == 1
            values["phone_column"] = self.phone_column[0] if one else list(self.phone_column)
        return dict.fromkeys(_ALWAYS_NAMED) | values
