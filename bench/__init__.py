"""Benchmarks and simulations: each prints its figures beside a stated baseline."""
