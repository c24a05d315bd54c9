"""The page, its figures, and the commands that make results of graded answers."""
