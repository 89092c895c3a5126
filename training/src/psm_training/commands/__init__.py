"""Subcommands of psm-train: each module's `add` puts its own on the parser."""
