"""SageMaker Asynchronous Inference on a laptop: queues, instances, results."""
