"""Screener's shared contracts: messages, names, storage, observations, document, policy."""

__version__ = "0.1.0"
