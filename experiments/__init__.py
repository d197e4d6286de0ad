"""The experiments of the paper: each rerun by one command, JSON lines out."""
