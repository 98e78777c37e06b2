"""Bidwright's command line: every command is a thin file, and nothing heavy loads before use."""
