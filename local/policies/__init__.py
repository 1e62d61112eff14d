"""Policies for people: checked, explained, compared."""
