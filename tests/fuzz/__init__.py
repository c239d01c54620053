"""Malformed frames through the real feeds, against a plain reading of what each frame says."""
