"""One run: from prompts to updates, checkpoints and rows."""
