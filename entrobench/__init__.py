"""Reproduces and benchmarks entropy control in reinforcement learning of language models."""
