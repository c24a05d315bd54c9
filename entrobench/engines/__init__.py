"""Rollout engines: what samples the answers."""
