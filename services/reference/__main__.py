"""Run as a program: see `services.reference`."""

from __future__ import annotations

import sys

from services.reference.writing import main

sys.exit(main(sys.argv[1:]))
