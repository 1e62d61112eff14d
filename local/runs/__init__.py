"""Executions seen from the command line: uploaded, followed, shown, remembered."""
