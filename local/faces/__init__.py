"""The people that a stack looks for."""
