"""What the APIs say in their terms, said in those of the command. Pure."""

from __future__ import annotations

import re

#: Parameters of the APIs that are called otherwise here; the others are options by their names.
_OPTIONS = {"default_country": "--country", "packages": "--package"}
_SAID = re.compile(
    r"`(?P<quoted>phone_column|country_column|reference_column|default_country|keep|header|accept"
    r"|delimiter|encoding|sheet)`|\bquery\.(?P<parameter>[a-z_]+)"
)
_OTHERS = {
    "accept=possible": "`--accept possible`",
    "GET /v1/jobs lists": "`bulk-lookup jobs` lists",
}


def in_own_words(text: str) -> str:
    """Give a text of an API with the names that the command has for things.

    >>> in_own_words("Name it by `phone_column`."), in_own_words("query.fresh_for: no duration")
    ('Name it by `--phone-column`.', '--fresh-for: no duration')
    """
    for theirs, ours in _OTHERS.items():
        text = text.replace(theirs, ours)
    return _SAID.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    name = found["quoted"] or found["parameter"]
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    return f"`{option}`" if found["quoted"] else option
