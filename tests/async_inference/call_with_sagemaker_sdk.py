"""Run by the SDK's own Python: invokes an endpoint the way its users do, prints what it got.

Usage: python call_with_sagemaker_sdk.py INPUT_URI. The endpoint URL, region and credentials are
in the standard AWS variables.
"""

import json
import sys

from sagemaker.core.resources import Endpoint

endpoint = Endpoint.get("endpoint")
answer = endpoint.invoke_async(
    input_location=sys.argv[1],
    content_type="application/x-tar",
    accept="application/json",
    custom_attributes="echo",
    inference_id="from-the-sdk",
    request_ttl_seconds=60,
    invocation_timeout_seconds=30,
)
endpoint.refresh()
sys.stdout.write(
    "\n"
    + json.dumps(
        {
            "status": endpoint.endpoint_status,
            "inference_id": answer.inference_id,
            "output_location": answer.output_location,
            "failure_location": answer.failure_location,
        }
    )
)
