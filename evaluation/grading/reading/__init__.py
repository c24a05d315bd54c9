"""Answers as text: found in a reply, spelled one way, numbers, units and words read."""
