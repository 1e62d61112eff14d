"""Scores as observations carry them."""

_DIGITS = 4


def round_score(score: float) -> float:
    """A score of four digits, inside [0, 1] whatever rounding did."""
    return min(1.0, max(0.0, round(float(score), _DIGITS)))
