"""How much GPU memory a training run takes at most, counted in bytes of tensors; imports no torch.

P parameters with float32 master weights and AdamW's two moments take 12P bytes, all the time; so do the engine's
bfloat16 weights, the reference model where a method has one, and the step's records. To these come, by phase:

    update      the gradients (4P) if an earlier micro-batch left them, and the output layer's apart; bfloat16 copies of
                all matrices, the activations of a micro-batch, a chunk of logits
    its end     the embedding's gradient, which a tied output layer's is added to, and all others
    optimizer   the gradients, and the square roots that AdamW takes of a group of parameters at once
    loading     of the engine: a bfloat16 copy of the model where its weights are sharded
    prefill     the prompts' keys and values, the activations of a layer, the mask
    decoding    keys and values of the answers decoded side by side, and their logits
    compaction  finished rows are dropped: the old cache and the new one

So much with the engine `native`. `vllm` takes a share of the whole GPU instead, in the phase `sampling` and, where it
stays resident, in every phase; `vllm_server` takes nothing here, as its GPU is another.

Activations per token and layer, by what autograd saves of the forward under bfloat16 autocast (d width, h·s heads,
k·s key-value heads, f inner width): 2·(5d + 2hs + 2ks + 4f) + 4·(4d + 2 + h) bytes. Logits are counted for the
statistics of the room `entropy`, at most one per method; a method's own function takes up to 20 bytes a logit more.
What the device's allocator adds by fragmentation, and the libraries' own buffers, are `ALLOWANCE`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from entrobench.config import Hardware, TrainerConfig
from entrobench.data.hub import ModelSizes
from entrobench.errors import InputError

GIB = 2**30
LOGIT_BYTES, LOGIT_BYTES_DIVIDED = 2, 10  # per logit of a chunk, whose gradient is written over it; by a temperature
SAMPLING_BYTES, SAMPLING_BYTES_DIVIDED = 8, 12  # per logit of the rows decoded: float32 logits and probabilities
RECORD_BYTES = 24  # per response token of a step: log-probabilities, entropies, advantages, mask
KEPT_SHARE = 0.7  # rows that compaction keeps at most
GATHERED_LAYERS = 3  # of sharded weights: the one computed, the next on its way, a gradient to be summed
ROLLOUT_PHASES = ("prefill", "decoding", "compaction")
ALLOWANCE = 0.9  # ours: share of a GPU's memory that tensors may fill


@dataclass(frozen=True)
class Peak:
    """Bytes by part, for each phase; and the share of the GPU that vLLM holds in a phase."""

    phases: dict[str, dict[str, int]]
    vllm: dict[str, float] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        """The phase that takes most."""
        return max(self.phases, key=lambda name: sum(self.phases[name].values()))

    @property
    def parts(self) -> dict[str, int]:
        """The bytes of that phase, by part."""
        return self.phases[self.phase]

    @property
    def bytes(self) -> int:
        return sum(self.parts.values())


def parameters(sizes: ModelSizes) -> int:
    """Number of parameters of a Llama-shaped decoder; Qwen2 has biases on queries, keys and values."""
    embeddings = sizes.vocabulary * sizes.hidden_size * (1 if sizes.tied else 2)
    return embeddings + sizes.layers * (_layer_matrices(sizes) + _layer_vectors(sizes)) + sizes.hidden_size


def _attention_widths(sizes: ModelSizes) -> tuple[int, int]:
    """Width of all queries, and of all keys."""
    size = sizes.head_size or sizes.hidden_size // sizes.heads
    return sizes.heads * size, sizes.kv_heads * size


def _layer_matrices(sizes: ModelSizes) -> int:
    queries, keys = _attention_widths(sizes)
    return sizes.hidden_size * (2 * queries + 2 * keys + 3 * sizes.intermediate_size)


def _layer_vectors(sizes: ModelSizes) -> int:
    queries, keys = _attention_widths(sizes)
    return 2 * sizes.hidden_size + (queries + 2 * keys if sizes.architecture == "qwen2" else 0)


def activation_bytes(sizes: ModelSizes, tokens: int) -> int:
    """What the forward of that many tokens keeps for the backward, without the output layer."""
    d, (queries, keys) = sizes.hidden_size, _attention_widths(sizes)
    half = 5 * d + 2 * queries + 2 * keys + 4 * sizes.intermediate_size
    full = 4 * d + 2 + sizes.heads
    return tokens * (sizes.layers * (2 * half + 4 * full) + 8 * d)


def cache_bytes(sizes: ModelSizes, rows: int, slots: int) -> int:
    """Keys and values of the rollout in bfloat16."""
    return 2 * 2 * sizes.layers * rows * slots * _attention_widths(sizes)[1]


def engine_bytes(sizes: ModelSizes) -> int:
    """The native engine's own weights in bfloat16: blocks, embedding, and the output layer scaled by the last norm."""
    blocks = sizes.layers * (_layer_matrices(sizes) + _layer_vectors(sizes))
    return 2 * (blocks + 2 * sizes.vocabulary * sizes.hidden_size)


def peak_memory(sizes: ModelSizes, trainer: TrainerConfig, hardware: Hardware, reference: bool = False) -> Peak:
    """The most bytes of tensors on the GPU, with prompts and answers of the greatest length."""
    sharded = hardware.weights == "sharded" and hardware.processes > 1
    layers = sizes.layers * (_layer_matrices(sizes) + _layer_vectors(sizes))
    rest = parameters(sizes) - layers
    layers = -(-layers // hardware.processes) if sharded else layers
    native = trainer.engine == "native"
    always = {
        "master weights": 4 * (layers + rest),
        "moments": 8 * (layers + rest),
        "engine": engine_bytes(sizes) if native else 0,
        "reference": 4 * parameters(sizes) if reference else 0,
        "records": RECORD_BYTES * trainer.prompts * trainer.group_size * trainer.max_response_tokens,
    }
    gradients, head = 4 * (layers + rest), 4 * sizes.vocabulary * sizes.hidden_size
    update = always | _update(sizes, trainer, hardware, gradients)
    phases = {
        "update": update,
        "update's end": {
            **{name: size for name, size in update.items() if name not in ("activations", "logits")},
            "gradients": gradients,
            "output layer's gradient": head if sizes.tied else 0,
            "embedding's gradient": 2 * head if sizes.tied else head,
        },
        "optimizer": always | {"gradients": gradients, "square roots": 4 * max(layers, rest)},
    }
    if native:
        phases["loading"] = always | ({"whole copy": 2 * parameters(sizes)} if sharded else {})
        return Peak(phases | {phase: always | parts for phase, parts in _rollout(sizes, trainer, hardware).items()})
    phases["sampling"] = always
    held = [] if trainer.engine == "vllm_server" else phases if hardware.engine_resident else ["sampling"]
    return Peak(phases, dict.fromkeys(held, hardware.engine_memory))


def _update(sizes: ModelSizes, trainer: TrainerConfig, hardware: Hardware, gradients: int) -> dict[str, int]:
    """What is in memory when the backward pass of an update's last micro-batch begins."""
    head = sizes.vocabulary * sizes.hidden_size
    length = trainer.max_prompt_tokens + trainer.max_response_tokens
    rows = -(-trainer.prompts * trainer.group_size // (trainer.updates * hardware.processes))
    tokens = min(hardware.micro_batch, rows) * length
    if hardware.micro_batch_tokens:
        tokens = max(length, min(tokens, hardware.micro_batch_tokens))
    activations = activation_bytes(sizes, tokens)
    if hardware.activation_checkpointing:  # the inputs of all layers, and one layer whole
        activations = 4 * tokens * sizes.hidden_size * sizes.layers + activations // sizes.layers
    chunk = min(hardware.head_chunk, tokens)
    per_logit = LOGIT_BYTES if trainer.temperature == 1 else LOGIT_BYTES_DIVIDED
    sharded = hardware.weights == "sharded" and hardware.processes > 1
    return {
        "gradients": gradients if tokens < rows * length else 0,
        "output layer's gradient": 4 * head,
        "bfloat16 weights": 2 * (sizes.layers * _layer_matrices(sizes) + head),
        "gathered layers": 4 * GATHERED_LAYERS * _layer_matrices(sizes) if sharded else 0,
        "activations": activations,
        "logits": per_logit * chunk * sizes.vocabulary,
    }


def _rollout(sizes: ModelSizes, trainer: TrainerConfig, hardware: Hardware) -> dict[str, dict[str, int]]:
    """The parts of prefill, decoding and compaction."""
    answers = -(-trainer.prompts // hardware.processes) * trainer.group_size
    rows = min(hardware.rollout_rows, answers)
    prompts = min(-(-rows // trainer.group_size) + (1 if rows < answers and rows % trainer.group_size else 0), rows)
    slots = trainer.max_prompt_tokens + trainer.max_response_tokens
    cache, prompt_cache = cache_bytes(sizes, rows, slots), cache_bytes(sizes, prompts, slots)
    per_logit = SAMPLING_BYTES if trainer.temperature == 1 else SAMPLING_BYTES_DIVIDED
    prefill = {
        "keys and values": prompt_cache,
        "activations": _prefill_bytes(sizes, prompts * trainer.max_prompt_tokens),
        "mask": prompts * trainer.max_prompt_tokens**2,
    }
    decoding = {"keys and values": cache, "logits": per_logit * rows * sizes.vocabulary}
    compaction = {"keys and values": cache + max(round(KEPT_SHARE * cache), prompt_cache)}
    return dict(zip(ROLLOUT_PHASES, (prefill, decoding, compaction), strict=True))


def _prefill_bytes(sizes: ModelSizes, tokens: int) -> int:
    """The states of all prompt tokens and the larger half of a layer."""
    d, (queries, keys) = sizes.hidden_size, _attention_widths(sizes)
    attention = 4 * (queries + 2 * keys) + 2 * queries + 12 * queries
    inner = 6 * sizes.intermediate_size + 2 * d
    return tokens * (2 * d + max(attention, inner))


def refuse_too_small(peak: Peak, capacity: int, where: str) -> None:
    """Raise InputError, naming the figure that does not fit, if a GPU of `capacity` bytes cannot hold the peak."""
    usable = int(ALLOWANCE * capacity)
    filled = Peak(
        {name: parts | {"vLLM": int(peak.vllm.get(name, 0) * capacity)} for name, parts in peak.phases.items()}
    )
    if filled.bytes <= usable:
        return
    largest = max(filled.parts, key=filled.parts.__getitem__)
    raise InputError(
        f"{where}: {filled.phase} takes {filled.bytes / GIB:.1f} GiB ({largest} alone "
        f"{filled.parts[largest] / GIB:.1f} GiB), but of a GPU of {capacity / GIB:.1f} GiB tensors may fill "
        f"{usable / GIB:.1f} GiB: {_cure(filled.phase, largest)}"
    )


def _cure(phase: str, largest: str) -> str:
    """Which key makes the largest part of a phase smaller."""
    cures = {"vLLM": "engine_memory", "activations": "micro_batch", "logits": "head_chunk"}
    if phase in ROLLOUT_PHASES:
        cures = dict.fromkeys(("activations", "logits", "keys and values", "mask"), "rollout_rows")
    return f"lower hardware.{cures[largest]}" if largest in cures else "it takes a larger GPU"
