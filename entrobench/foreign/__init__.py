"""Runs of other trainers: their logs read, their names translated, their answers graded."""
