from tests.async_inference.fixtures import aws_url, bench, s3

__all__ = ["aws_url", "bench", "s3"]
