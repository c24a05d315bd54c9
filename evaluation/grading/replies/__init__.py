"""Replies: where in a model's text the final answer stands, and whether it is stated at all."""
