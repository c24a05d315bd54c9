"""Door to the room `entropy`: the entropies of logits that authors of methods import."""

from entrobench.entropy.logits import clamped_entropy, entropy, top_k_entropy, top_p_entropy

__all__ = ["clamped_entropy", "entropy", "top_k_entropy", "top_p_entropy"]
