"""Synthetic decision processes whose policies are computed exactly, bounds on them, and laws fitted to trained runs."""
