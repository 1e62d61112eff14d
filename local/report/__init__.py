"""A document as a page that people can judge by, and as files for players and editors."""
