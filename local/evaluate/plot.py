"""The curves as one SVG picture.

Drawn here rather than with matplotlib: two axes and a few lines do not justify 60 MB on every
laptop.
"""

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from local.evaluate.curves import Curve

_SIDE = 320
_MARGIN = 50
_COLOURS = ("#0969da", "#cf222e", "#1a7f37", "#8250df")
_GRID = "#8c959f"


def curves_svg(curves: Mapping[str, Curve], title: str) -> str:
    """Left: precision over recall. Right: recall over the threshold."""
    width, height = 2 * (_SIDE + 2 * _MARGIN), _SIDE + 2 * _MARGIN + 20 * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img" '
        f"aria-label={quoteattr(title)}>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_panel(0, "recall", "precision"),
        *_panel(_SIDE + 2 * _MARGIN, "threshold", "recall"),
    ]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        precision = [(point.recall, point.precision) for point in curve.points]
        recall = [(point.threshold, point.recall) for point in curve.points]
        parts += [
            _line(0, [(0.0, precision[0][1]), *precision], colour),
            _line(_SIDE + 2 * _MARGIN, recall, colour),
            f'<text x="{_MARGIN}" y="{_SIDE + 2 * _MARGIN + 20 * number}" fill="{colour}">'
            f"{escape(name)}: average precision {curve.average_precision:.3f}, "
            f"best F1 {curve.best.f1:.3f} at {curve.best.threshold:.3f}</text>",
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, below: str, beside: str) -> Iterator[str]:
    for step in range(6):
        share = step / 5
        x, y = _at(left, share, share)
        _, bottom = _at(left, 0, 0)
        start, _ = _at(left, 0, 0)
        end, top = _at(left, 1, 1)
        lines = f"M{x} {top}V{bottom}M{start} {y}H{end}"
        yield f'<path d="{lines}" stroke="{_GRID}" stroke-opacity=".3"/>'
        yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{share:.1f}</text>'
        yield f'<text x="{start - 6}" y="{y + 4}" text-anchor="end">{share:.1f}</text>'
    middle = left + _MARGIN + _SIDE / 2
    yield f'<text x="{middle}" y="{_MARGIN + _SIDE + 34}" text-anchor="middle">{below}</text>'
    yield f'<text x="{left + _MARGIN}" y="{_MARGIN - 12}">{beside}</text>'


def _line(left: int, points: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join("{:.1f},{:.1f}".format(*_at(left, x, y)) for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _at(left: int, x: float, y: float) -> tuple[float, float]:
    return left + _MARGIN + x * _SIDE, _MARGIN + (1 - y) * _SIDE
