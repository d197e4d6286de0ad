"""The sections of the pages of results, one a file, and what they are made of."""
