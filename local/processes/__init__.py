"""Processes that the local stack starts, and that never outlive it."""
