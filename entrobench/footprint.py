"""How much GPU memory a training run takes at most, counted in bytes of tensors; imports no torch.

P parameters with float32 master weights, gradients and AdamW's two moments take 16P bytes. To these come, by phase:

    update     bfloat16 copies of all matrices, the activations of a micro-batch, a chunk of logits
    optimizer  4P: the square roots that AdamW takes of all parameters at once
    rollout    the keys and values of the answers decoded side by side; no gradients (-4P)

and in all phases the engine's bfloat16 weights, the reference model where a method has one, and the step's records.
Activations per token and layer, by what autograd saves of the forward under bfloat16 autocast (d width, h·s heads,
k·s key-value heads, f inner width): 2·(5d + 2hs + 2ks + 4f) + 4·(4d + 2 + h) bytes. What the device's allocator adds by
fragmentation, and the libraries' own buffers, are `ALLOWANCE`.
"""

from __future__ import annotations

from dataclasses import dataclass

from entrobench.config import Hardware, TrainerConfig
from entrobench.errors import InputError
from entrobench.hub import Shape

GIB = 2**30
LOGIT_BYTES = 24  # per logit of a chunk: float32 logits, log-probabilities, one statistic, and their gradients
SAMPLING_BYTES = 16  # per logit of the rows decoded: logits, probabilities, truncated ones, running sums
RECORD_BYTES = 24  # per response token of a step: log-probabilities, entropies, advantages, mask
COMPACTION = 1.7  # rows are dropped when 30 % have finished: the old cache and the new one
ALLOWANCE = 0.9  # ours: share of a GPU's memory that tensors may fill


@dataclass(frozen=True)
class Peak:
    """Bytes by part, for each phase; `update`, `optimizer` and `rollout` map names to bytes."""

    update: dict[str, int]
    optimizer: dict[str, int]
    rollout: dict[str, int]

    @property
    def phase(self) -> str:
        """The phase that takes most."""
        return max(vars(self), key=lambda name: sum(getattr(self, name).values()))

    @property
    def bytes(self) -> int:
        return sum(getattr(self, self.phase).values())


def parameters(shape: Shape) -> int:
    """Number of parameters of a Llama-shaped decoder; Qwen2 has biases on queries, keys and values."""
    embeddings = shape.vocabulary * shape.hidden_size * (1 if shape.tied else 2)
    return embeddings + shape.layers * (_layer_matrices(shape) + _layer_vectors(shape)) + shape.hidden_size


def _attention_widths(shape: Shape) -> tuple[int, int]:
    """Width of all queries, and of all keys."""
    size = shape.head_size or shape.hidden_size // shape.heads
    return shape.heads * size, shape.kv_heads * size


def _layer_matrices(shape: Shape) -> int:
    queries, keys = _attention_widths(shape)
    return shape.hidden_size * (2 * queries + 2 * keys + 3 * shape.intermediate_size)


def _layer_vectors(shape: Shape) -> int:
    queries, keys = _attention_widths(shape)
    return 2 * shape.hidden_size + (queries + 2 * keys if shape.architecture == "qwen2" else 0)


def activation_bytes(shape: Shape, tokens: int) -> int:
    """What a forward of that many tokens keeps for its backward, without the output layer."""
    d, (queries, keys) = shape.hidden_size, _attention_widths(shape)
    half = 5 * d + 2 * queries + 2 * keys + 4 * shape.intermediate_size
    full = 4 * d + 2 + shape.heads
    return tokens * (shape.layers * (2 * half + 4 * full) + 8 * d)


def cache_bytes(shape: Shape, rows: int, slots: int) -> int:
    """Keys and values of the rollout in bfloat16."""
    return 2 * 2 * shape.layers * rows * slots * _attention_widths(shape)[1]


def engine_bytes(shape: Shape) -> int:
    """The native engine's own weights in bfloat16: blocks, embedding, and the output layer scaled by the last norm."""
    blocks = shape.layers * (_layer_matrices(shape) + _layer_vectors(shape))
    return 2 * (blocks + 2 * shape.vocabulary * shape.hidden_size)


def peak_memory(shape: Shape, trainer: TrainerConfig, hardware: Hardware, reference: bool = False) -> Peak:
    """The bytes of tensors on the GPU at most, with prompts and answers of the greatest length."""
    count = parameters(shape)
    own = count // hardware.processes if hardware.weights == "sharded" else count
    length = trainer.max_prompt_tokens + trainer.max_response_tokens
    records = RECORD_BYTES * trainer.prompts * trainer.group_size * trainer.max_response_tokens
    always = {"engine": engine_bytes(shape), "reference": 4 * count if reference else 0, "records": records}
    weights = {"master weights": 4 * own, "moments": 8 * own}
    tokens = hardware.micro_batch * length
    if hardware.micro_batch_tokens:
        tokens = max(length, min(tokens, hardware.micro_batch_tokens))
    activations = activation_bytes(shape, tokens)
    if hardware.activation_checkpointing:  # the inputs of all layers, and one layer whole
        activations = 4 * tokens * shape.hidden_size * shape.layers + activations // shape.layers
    chunk = min(hardware.head_chunk, tokens)
    casts = 2 * (shape.layers * _layer_matrices(shape) + shape.vocabulary * shape.hidden_size)
    cache = round(COMPACTION * cache_bytes(shape, hardware.rollout_rows, length))
    return Peak(
        update={
            **weights,
            "gradients": 4 * own,
            **always,
            "bfloat16 weights": casts,
            "activations": activations,
            "logits": LOGIT_BYTES * chunk * shape.vocabulary,
        },
        optimizer={**weights, "gradients": 4 * own, **always, "square roots": 4 * own},
        rollout={
            **weights,
            **always,
            "keys and values": cache,
            "logits": SAMPLING_BYTES * hardware.rollout_rows * shape.vocabulary,
        },
    )


def refuse_too_small(peak: Peak, capacity: int, where: str) -> None:
    """Raise InputError, naming the figure that does not fit, if a GPU of `capacity` bytes cannot hold the peak."""
    usable = int(ALLOWANCE * capacity)
    if peak.bytes <= usable:
        return
    parts = getattr(peak, peak.phase)
    largest = max(parts, key=parts.__getitem__)
    setting = {"activations": "micro_batch", "logits": "head_chunk", "keys and values": "rollout_rows"}.get(largest)
    cure = f"lower hardware.{setting}" if setting else "it takes a larger GPU"
    raise InputError(
        f"{where}: {peak.phase} takes {peak.bytes / GIB:.1f} GiB ({largest} alone {parts[largest] / GIB:.1f} GiB), but "
        f"of a GPU of {capacity / GIB:.1f} GiB tensors may fill {usable / GIB:.1f} GiB: {cure}"
    )
