"""S3 events as EventBridge puts them on the intake queue."""

import json
from typing import Any


def object_created(request: dict[str, Any], **changes: Any) -> str:
    """The event of an upload.

    Args:
        request: an execution's input.
        changes: fields of the event to replace, such as `source`.
    """
    event = {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": request["bucket"]},
            "object": {
                "key": request["key"],
                "version-id": request.get("version_id"),
                "etag": request.get("etag"),
                "sequencer": request.get("sequencer"),
            },
        },
    }
    return json.dumps(event | changes)
