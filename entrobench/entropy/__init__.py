"""Statistics of logits: exact entropies and log-probabilities, on the CPU and the GPU."""
