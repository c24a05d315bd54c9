"""How many tokens a clamping share removes: by count of the vocabulary, exact in decimal."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal


def removed_count(clamp: float, vocabulary: int) -> int:
    """floor(clamp·V) in exact decimal arithmetic: 0.29 of 100 is 29, where int(100 · 0.29) is 28."""
    return int((Decimal(str(clamp)) * vocabulary).to_integral_value(ROUND_FLOOR))
