"""Answers as mathematics: parsed, and compared by structure and value with sympy."""
