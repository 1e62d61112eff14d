"""Judging an archive again with another policy, without any inference."""
