"""An engine whose layers are cut between two processes follows the weights: a script, since vLLM's workers are forked.

Usage: two_devices.py MODEL FOLDER; MODEL is a recipe's name in config/models.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "support"))

if __name__ == "__main__":
    import torch
    from engine_checks import LONGEST, assert_it_follows, change, drawn, save, tokens, untrained
    from tiny import END

    from entrobench.config import Hardware
    from entrobench.engines.vllm_engine import VllmEngine

    folder = Path(sys.argv[2])
    model = untrained(sys.argv[1])
    saved = save(model, folder / "model")
    cpu, hardware = torch.device("cpu"), Hardware(engine_devices=2)
    engine = VllmEngine(saved, [END], cpu, torch.float32, hardware, LONGEST, folder / "scratch")
    assert_it_follows(engine, model)
    before = tokens(drawn(engine))
    change(model, 1)
    engine.load(model)
    assert tokens(drawn(engine)) != before
    assert_it_follows(engine, model)
    assert not any((folder / "scratch").glob("**/*.safetensors")), "the weights on their way are removed"
