"""SmolLM2-135M-Instruct as the recipe makes it, once per checkout; and greedy answers compared token by token.

`python tests/support/smollm2.py 200` compares that many prompts of mixed length, some minutes on one core.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

ROOT = Path(__file__).parents[2]
NAME = "smollm2-135m"
TIE = 1e-4  # of a logit: below it, which token is the largest is decided by rounding


def base_model() -> tuple[Path | None, str]:
    """The folder of the base model, made where it is not there; or None, and why it cannot be made."""
    folder = ROOT / "results" / "models" / NAME
    with Path(tempfile.gettempdir(), f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes make it once
        if _is_current(folder):
            return folder, ""
        command = [str(Path(sys.executable).parent / "entrobench"), "base-model", NAME]
        hurry = {"PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "10"}
        done = subprocess.run(command, cwd=ROOT, env={**hurry, **os.environ}, capture_output=True, text=True)
    return (folder, "") if done.returncode == 0 else (None, done.stderr.strip().rpartition("\n")[2])


def _is_current(folder: Path) -> bool:
    from entrobench.models.model_recipes import recipe_hash

    spec = yaml.safe_load((ROOT / "config" / "models" / f"{NAME}.yaml").read_text())
    about = folder / "model.json"
    return about.is_file() and json.loads(about.read_text())["recipe_hash"] == recipe_hash(spec)


@dataclass(frozen=True)
class Difference:
    """The first place at which two greedy answers to a prompt differ, and how far apart the two logits are there."""

    prompt: int
    place: int
    gap: float


def greedy_differences(folder: Path, prompts: Sequence[Sequence[int]], longest: int) -> list[Difference]:
    """Greedy answers of the native engine against transformers' own generate(), each prompt alone."""
    from entrobench.engines.rollout import NativeEngine, Sampling
    from entrobench.models.language_model import end_tokens, load_model, load_tokenizer

    model, tokenizer = load_model(folder), load_tokenizer(folder)
    ends = end_tokens(model.generation_config, tokenizer)
    engine = NativeEngine(model, ends, torch.float32)
    keys = [str(number) for number in range(len(prompts))]
    ours = engine.generate(prompts, 1, Sampling(temperature=0.0, max_tokens=longest), keys, "greedy")
    found = []
    for number, (prompt, answer) in enumerate(zip(prompts, ours, strict=True)):
        settings = {"max_new_tokens": longest, "do_sample": False, "eos_token_id": ends, "pad_token_id": ends[0]}
        tokens = torch.tensor([prompt])
        with torch.inference_mode():
            theirs = model.generate(tokens, attention_mask=torch.ones_like(tokens), **settings)[
                0, len(prompt) :
            ].tolist()
        if theirs != answer.tokens:
            found.append(difference(model, number, list(prompt), answer.tokens, theirs))
    return found


def difference(model: Any, number: int, prompt: list[int], ours: list[int], theirs: list[int]) -> Difference:
    """Where two greedy answers part; a shorter one that the other begins with parts at its end, by an infinite gap."""
    pairs = list(zip(ours, theirs, strict=False))
    place = next((place for place, (one, other) in enumerate(pairs) if one != other), None)
    if place is None:
        return Difference(number, len(pairs), float("inf"))
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + ours[:place]])).logits[0, -1]
    return Difference(number, place, float((logits[ours[place]] - logits[theirs[place]]).abs()))


def mixed_prompts(tokenizer: Any, count: int) -> list[list[int]]:
    """Prompts of mixed length: word problems in the chat template, every third one with a few more before it."""
    from entrobench.data.word_problems import WordProblemConfig, problems
    from entrobench.models.language_model import encode_prompt

    texts = [problem.text for problem in problems(WordProblemConfig(stories=4 * count, sums=0, products=0))]
    groups = [texts[4 * n : 4 * n + 1 + (n % 3) * (n % 2 + 1)] for n in range(count)]
    return [encode_prompt(tokenizer, " ".join(group)) for group in groups]


def main() -> None:
    """Compare greedy answers to as many prompts as the command line says, and list the ties."""
    from entrobench.models.language_model import load_tokenizer

    folder, why = base_model()
    if folder is None:
        raise SystemExit(f"no model: {why}")
    prompts = mixed_prompts(load_tokenizer(folder), int(sys.argv[1]))
    found = greedy_differences(folder, prompts, 16)
    lengths = sorted(map(len, prompts))
    print(f"{len(prompts)} prompts of {lengths[0]} to {lengths[-1]} tokens, greedy, at most 16 tokens")
    for item in found:
        print(f"prompt {item.prompt}, token {item.place + 1}: logits {item.gap:.2e} apart")
    ties = sum(item.gap <= TIE for item in found)
    print(f"equal: {len(prompts) - len(found)}; ties within {TIE:g}: {ties}; different: {len(found) - ties}")
    raise SystemExit(ties < len(found))


if __name__ == "__main__":
    main()
