"""One module for each subcommand of `psm-cloud`."""
