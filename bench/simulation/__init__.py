"""Discrete-event simulation of a deployed stack: what volume costs, and how long it takes."""
