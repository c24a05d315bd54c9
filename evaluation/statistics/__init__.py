"""Scores, intervals and comparisons, and the audit that says which of them may give a verdict."""
