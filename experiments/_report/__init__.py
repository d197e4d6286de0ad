"""The sections of docs/results.md, one a file, and what they are made of."""
