"""How long property tests search: a second or so each, the same examples on every run in CI; `make fuzz` for longer."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("sent", max_examples=int(os.environ.get("SENT_TEST_EXAMPLES", "150")), deadline=None)
settings.register_profile("sent-ci", settings.get_profile("sent"), derandomize=True, database=None)

bounded = settings.get_profile("sent-ci" if os.environ.get("CI") else "sent")
"""Decorates each property test: ``@bounded`` under ``@given(…)``. Set ``CI`` for the derandomized profile."""
