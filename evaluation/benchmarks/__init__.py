"""Benchmarks: lm-eval tasks, and the answers that a model gives to them."""
