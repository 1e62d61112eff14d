"""Which instance types an endpoint has now."""

from typing import Any

from botocore.exceptions import ClientError


def present_types(sagemaker: Any, endpoint: str) -> list[str]:
    """Instance types in order of priority; empty when there is no such endpoint.

    Raises:
        botocore.exceptions.ClientError: SageMaker refuses to say.
    """
    try:
        config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    except ClientError as error:
        # SageMaker has no error of its own for what does not exist.
        if "Could not find" in error.response["Error"]["Message"]:
            return []
        raise
    described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    (variant,) = described["ProductionVariants"]
    pools = sorted(variant.get("InstancePools", []), key=lambda one: one["Priority"])
    return [one["InstanceType"] for one in pools] or [variant["InstanceType"]]
