"""What the model servers do on a GPU: see `bench/gpu/__main__.py`."""
