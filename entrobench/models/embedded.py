"""Tokenizers and untrained models of the embedded study: real classes, saved in the usual format."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from entrobench.data.chain import OPERATIONS, SEPARATORS

from .model_recipes import WINDOW, EmbeddedModel
from .teacher import Teacher

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")
SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwz" for vowel in "aeiou"]


def corpus(recipe: EmbeddedModel, problems: Sequence[str], teacher: Teacher) -> Iterator[str]:
    """Text to train a tokenizer on: worked problems, facts, and filler words that the task never uses.

    As in a real vocabulary, most entries then play no part in any answer. Filler words are made of syllables, each less
    frequent than the one drawn before it (Zipf).
    """
    generator = random.Random(f"corpus/{recipe.seed}")
    for problem in problems:
        yield f"{problem} {teacher.answer(problem, generator)}"
    for sign in OPERATIONS:
        yield from (f"{a} {sign} {b} = {' '.join(SEPARATORS)}" for a in range(10) for b in range(10))
    words = dict.fromkeys(
        "".join(generator.choices(SYLLABLES, k=generator.randint(2, 4))) for _ in range(2 * recipe.vocabulary)
    )
    for rank, word in enumerate(words, start=1):
        yield " ".join([word] * (1 + 2000 // rank))


def train_tokenizer(recipe: EmbeddedModel, problems: Sequence[str], teacher: Teacher) -> Any:
    """Train a tokenizer of `vocabulary` entries; `word` splits at spaces, `bpe` is byte-level and knows any text.

    Every word and number of the task is a single token in both.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    trainer: Any
    if recipe.tokenizer == "word":
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)  # puts the spaces back
        trainer = trainers.WordLevelTrainer(vocab_size=recipe.vocabulary, special_tokens=list(SPECIAL_TOKENS))
    else:
        tokenizer = Tokenizer(models.BPE())
        words = pre_tokenizers.Split(Regex(" "), behavior="merged_with_next")
        first = pre_tokenizers.Metaspace(replacement=" ", prepend_scheme="first", split=False)
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, words, to_bytes])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=recipe.vocabulary,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    tokenizer.train_from_iterator(corpus(recipe, problems, teacher), trainer)
    pad, begin, end, unknown = SPECIAL_TOKENS
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, bos_token=begin, eos_token=end, unk_token=unknown
    )
    assert len(fast) == recipe.vocabulary, f"the corpus gave {len(fast)} entries, not {recipe.vocabulary}"
    return fast


def build_model(recipe: EmbeddedModel, tokenizer: Any) -> Any:
    """An untrained model of the recipe's architecture.

    Matrices start at std 0.7/sqrt(fan-in), embeddings at 0.1 (ours: wider than the libraries' 0.02, for small models
    that are trained within a minute).
    """
    import transformers

    names = {"qwen2": ("Qwen2Config", "Qwen2ForCausalLM"), "llama": ("LlamaConfig", "LlamaForCausalLM")}
    config_name, model_name = names[recipe.architecture]
    config = getattr(transformers, config_name)(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        intermediate_size=recipe.intermediate_size,
        tie_word_embeddings=recipe.tied,
        max_position_embeddings=WINDOW,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(recipe.seed)
    model = getattr(transformers, model_name)(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_tokens" in name or "lm_head" in name:
                weight.normal_(std=0.1)
            elif weight.dim() == 2:
                weight.normal_(std=0.7 / math.sqrt(weight.shape[1]))
    return model.train()
