"""How much of a failure's cause travels through the state machine.

A plan has up to 40 items, and the causes of all that failed lie in one state of at most 262,144
bytes: beyond it Step Functions ends the execution without a document. So each cause is cut where it
is written down. The whole of it is in the function's log, or in the endpoint's failure object.
"""

import json

CAUSE_BYTES = 2_000
RAISED_BYTES = 1_000
"""Of an error's message, which travels with a trace as JSON within JSON: twice as long at worst."""
_CUT = " …"


def shortened(cause: str, limit: int = CAUSE_BYTES) -> str:
    """The beginning of a cause: at most `limit` bytes in JSON, whatever JSON has to escape."""
    if len(cause) <= limit and _json_bytes(cause) <= limit:
        return cause
    left = limit - _json_bytes(_CUT)
    kept = 0
    for character in cause:
        left -= _json_bytes(character)
        if left < 0:
            break
        kept += 1
    return cause[:kept] + _CUT


def shortened_error(error: Exception) -> Exception:
    """An error of the same name with a message of at most `RAISED_BYTES` and no trace yet.

    For a function whose errors become data of the state: Lambda reports an error's name, message
    and trace, whatever their length.
    """
    named: type[Exception] = type(type(error).__name__, (Exception,), {})
    return named(shortened(str(error), RAISED_BYTES))


def _json_bytes(text: str) -> int:
    # With escapes for all that is not ASCII: the larger of the two ways to write it.
    return len(json.dumps(text)) - 2
