"""One, two and three processes make the same update, sharded or not, and a checkpoint loads at another number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import END, tiny_model

from entrobench.conformance.threads import together
from entrobench.distributed.ranks import Ranks
from entrobench.distributed.sharding import Whole, like, shard, whole_weights
from entrobench.engines.rollout import NativeEngine, Sampling
from entrobench.entropy.logits import entropy
from entrobench.training.forward import frozen_forward, pack
from entrobench.training.micro_batches import ForwardLimits

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
SCRIPT = """
import json, sys
sys.path.insert(0, {here!r})
from pathlib import Path
import torch
from entrobench.training import assembly, checkpoint
from tiny import exact, run_config, tiny_trainer
load = assembly.load_model
assembly.load_model = lambda folder, device: exact(load(folder, device))
from entrobench.distributed.sharding import full
jobs = json.loads(sys.argv[1])
for job in jobs:
    config = run_config(
        job["method"], prompts=5, group_size=3, updates=1, learning_rate=1e-3, steps=job["steps"]
    )
    run = tiny_trainer(Path({model!r}), Path({data!r}), Path(job["folder"]), config, **job["hardware"])
    rows = run.run()
    checkpoint.keep(run.parts, run.position, run.identity)
    flat = torch.cat([full(weight.detach()).flatten() for weight in run.parts.model.parameters()])
    if run.parts.ranks.first:
        keep = {{name: value for name, value in rows[-1].items() if not name.startswith(("time", "seconds"))}}
        Path(job["folder"], "result.json").write_text(json.dumps([flat.tolist(), keep]))
"""


def launch(folders: tuple[Path, Path], processes: int, jobs: list[dict[str, Any]]) -> None:
    """Run trainings in one group of processes, float64 on the CPU."""
    model, data = folders
    script = folders[0].parent / "ranks.py"
    script.write_text(SCRIPT.format(here=str(SUPPORT), model=str(model), data=str(data)))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(script), json.dumps(jobs)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}  # whatever the host's name resolves to
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def result(folder: Path) -> tuple[torch.Tensor, dict[str, float]]:
    flat, row = json.loads((folder / "result.json").read_text())
    return torch.tensor(flat, dtype=torch.float64), row


def job(folder: Path, method: str = "aent", steps: int = 2, **hardware: Any) -> dict[str, Any]:
    return {"folder": str(folder), "method": method, "steps": steps, "hardware": hardware}


def assert_same(one: Path, other: Path) -> None:
    (weights, row), (other_weights, other_row) = result(one), result(other)
    assert float((weights - other_weights).abs().max()) <= 1e-10
    assert row.keys() == other_row.keys()
    for name, value in row.items():
        assert other_row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


@pytest.mark.slow
def test_one_two_and_three_processes_make_the_same_updates(tiny_folders: tuple[Path, Path], tmp_path: Path) -> None:
    methods = ("aent", "kl_cov") if (ROOT / "methods/kl_cov.py").exists() else ("aent",)
    alone = [job(tmp_path / f"1-{method}", method) for method in methods]
    alone += [
        job(tmp_path / "1-tokens", micro_batch_tokens=30, activation_checkpointing=True),
        job(tmp_path / "resumed", steps=1),
    ]
    launch(tiny_folders, 1, alone)
    two = [job(tmp_path / f"2-{method}", method) for method in methods]
    two += [
        job(tmp_path / "2-sharded", weights="sharded", micro_batch_tokens=30),
        job(tmp_path / "resumed", weights="sharded"),  # goes on from the checkpoint of one process
        job(tmp_path / "back", steps=1, weights="sharded"),
    ]
    launch(tiny_folders, 2, two)
    launch(tiny_folders, 3, [job(tmp_path / "3-aent"), job(tmp_path / "3-sharded", weights="sharded")])
    launch(tiny_folders, 1, [job(tmp_path / "back")])  # goes on from the checkpoint of two
    for method in methods[1:]:
        assert_same(tmp_path / f"1-{method}", tmp_path / f"2-{method}")
    for other in ("1-tokens", "2-aent", "2-sharded", "3-aent", "3-sharded", "resumed", "back"):
        assert_same(tmp_path / "1-aent", tmp_path / other)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("sequences", [1, 2])
def test_processes_without_a_sequence_take_part(count: int, sequences: int) -> None:
    """What `keep` or dynamic sampling leave may be less than there are processes."""
    model = tiny_model("qwen2").double()
    packed = pack([[1, 4, 14]] * sequences, [[5, 17, 2], [5, 2]][:sequences], torch.device("cpu"))
    stats = {"entropy": entropy, "peak": lambda logits: logits.amax(-1)}
    logp, values = frozen_forward(model, packed, stats, 1.0, ForwardLimits(4, 4096))

    def part(ranks: Ranks) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return frozen_forward(model, packed, stats, 1.0, ForwardLimits(4, 4096, ranks=ranks))

    for found, others in together(count, part):
        torch.testing.assert_close(found, logp, atol=1e-13, rtol=0)
        torch.testing.assert_close(others, values, atol=1e-13, rtol=0)


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(lengths, st.integers(1, 8), st.sampled_from([0, 10, 64]), st.integers(1, 4))
def test_every_row_is_in_one_micro_batch_within_its_limits(
    lengths: list[int], micro_batch: int, tokens: int, count: int
) -> None:
    limits = ForwardLimits(micro_batch, 4096, tokens, Ranks(0, count))
    prompts = [row // 3 for row in range(len(lengths))]
    parts = limits.micro_batches(lengths, prompts)
    assert sorted(row for part in parts for rows in part for row in rows) == list(range(len(lengths)))
    assert len({len(part) for part in parts}) == 1, "sharded weights are gathered by all processes together"
    for rows in (rows for part in parts for rows in part if rows):
        assert len(rows) <= micro_batch
        assert not tokens or len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= tokens
    numbers = limits.numbers(lengths, prompts)
    assert all(len({numbers[row] for row in rows}) <= 1 for part in parts for rows in part)


def test_without_a_limit_on_tokens_rows_stay_in_order() -> None:
    assert ForwardLimits(2, 4096).micro_batches([9, 1, 5], [0, 0, 0]) == [[[0, 1], [2]]]
    assert ForwardLimits(2, 4096, 0, Ranks(0, 2)).micro_batches([9, 1, 5], [0, 0, 0]) == [[[0]], [[1, 2]]]


def test_with_a_limit_prompts_of_long_sequences_come_first_and_are_dealt_out_with_their_answers() -> None:
    limits, lengths = ForwardLimits(8, 4096, 10, Ranks(0, 2)), [5, 9, 4, 8, 1]
    assert limits.micro_batches(lengths, [0, 1, 2, 3, 4]) == [[[1], [0, 4]], [[3], [2]]]
    assert limits.micro_batches(lengths, [0, 1, 0, 1, 2]) == [[[1], [3], [4]], [[0, 2], [], []]]
    assert limits.micro_batches(lengths, [0] * 5) == [[[0, 2], [4]], [[1], [3]]]  # a prompt for two processes


def test_the_engine_of_sharded_weights_keeps_what_it_loaded_when_the_whole_copy_is_let_go() -> None:
    """One process suffices: its weights are sharded tensors all the same."""
    expected = NativeEngine(tiny_model("qwen2", seed=1), [END], torch.float32)
    model = tiny_model("qwen2")
    engine = NativeEngine(model, [END], torch.float32)
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        whole = Whole(model, torch.float32)
        shard(model, Ranks())
        with torch.no_grad():
            for weight, other in zip(model.parameters(), tiny_model("qwen2", seed=1).parameters(), strict=True):
                weight.copy_(like(other, weight))
        with whole_weights(whole, model) as copy:
            engine.load(copy)
    finally:
        torch.distributed.destroy_process_group()
    assert not any(weight.numel() for weight in whole.copy.parameters())
    arguments = [[4, 5, 6], [7]], 3, Sampling(max_tokens=5), ["a", "b"], "seed"
    assert engine.generate(*arguments) == expected.generate(*arguments)
