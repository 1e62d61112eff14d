"""When to look for a result: at its expected end, soon after it, then ever less often.

Every look costs three state transitions and about nine history events, of which an execution may
have 25,000. A result may lie unnoticed for 5 s, or for a share of the time it took, whichever
is longer; an endpoint that wakes from zero, or a long queue, makes that share the rule.
"""

GROWTH = 0.1
GROWTH_OF_MANY_ITEMS = 0.2
"""Six hours of waiting are 79 looks at 10 % and 48 at 20 %, so 16 items stay below 11,400 events
and 40 below 17,300."""
MANY_ITEMS = 16

_UNNOTICED_SECONDS = 5
_FIRST_LOOK = 1.05
"""Of the expected time: halfway into what a result may lie unnoticed, because a little too early
costs another look and a little too late costs nothing."""
_SOON = 0.1
"""Of the expected time, at least, from each look to the next; then half of what it is late."""
_LATE_GROWTH = 0.5


def growth(items: int) -> float:
    """How much longer each wait is, as a share of the time waited, in a plan of so many items."""
    return GROWTH if items <= MANY_ITEMS else GROWTH_OF_MANY_ITEMS


def first_wait_seconds(expected_seconds: float) -> int:
    """Whole seconds from the request to the first look; 0 expected means that nobody knows."""
    return max(1, int(_FIRST_LOOK * expected_seconds + 0.5))


def next_wait_seconds(elapsed_seconds: float, expected_seconds: float, growth: float) -> int:
    """Whole seconds until the next look.

    Args:
        elapsed_seconds: since the request was queued.
        expected_seconds: what the analysis was expected to take; 0 when nobody knows.
        growth: see `growth`.
    """
    late_seconds = elapsed_seconds - expected_seconds
    soon = max(_SOON * expected_seconds, _LATE_GROWTH * late_seconds)
    return max(1, int(min(soon, max(_UNNOTICED_SECONDS, growth * elapsed_seconds))))
