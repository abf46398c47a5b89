"""What a workload and a forger put into what they make, so that a leak or a success is seen."""

from __future__ import annotations

from typing import Final

SECRET_MARK: Final = "hush-"  # noqa: S105 - it is what makes a secret visible
"""Part of every password that a workload sets: wherever it shows up in clear, it is a leak."""

FORGED_MARK: Final = "forged-"
"""Part of every text that only a forged message carries: a row that holds it was forged."""

FORGED_NUMBER: Final = 2**50
"""An epoch, a sequence or a time to renew from here on is only in forged messages."""

FORGED_TRACE: Final = "f0" * 16
"""The trace that hostile guests claim to be in."""

FORGED_HEADER: Final = "X-Forged"
"""Stands on each request that a forger makes of the API: what it changes is told from the rest."""

FORGER: Final = "forger"
"""The name of a coroutine that asks so."""
