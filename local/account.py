"""The account that everything on a laptop belongs to."""

ACCOUNT_ID = "123456789012"
"""moto's own; ARNs of the other local services must name the same one."""
