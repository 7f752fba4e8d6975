"""How a command ends: its exit codes, and errors that say the way out."""

from __future__ import annotations

OK = 0
#: What was asked about is not as it should be.
NOT_OK = 1
USAGE = 2
#: The rest are those of sysexits.h, as the programs' own.
UNAVAILABLE = 69
FAULT = 70
UNAUTHORIZED = 77
SETTINGS = 78
INTERRUPTED = 130

EXPLAINED = (
    f"Exit codes: {OK} all is well; {NOT_OK} what was asked about is not; {USAGE} wrong usage; "
    f"{UNAVAILABLE} a service is away, try again; {FAULT} a fault of the service or of this "
    f"command; {UNAUTHORIZED} no token, or one that is not known; {SETTINGS} wrong settings; "
    f"{INTERRUPTED} interrupted."
)


class CommandError(Exception):
    """A foreseen error: what it says is shown as it is, and the command ends with `code`."""

    def __init__(self, message: str, code: int = NOT_OK) -> None:
        super().__init__(message)
        self.code = code
