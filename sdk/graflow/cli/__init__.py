"""The `graflow` command line. It decides nothing: it reads options, calls, and prints."""
