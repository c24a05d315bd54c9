"""Tests against a real vLLM: `make test-vllm` makes the environment for its CPU build and runs them.

Everywhere else, `make test` among them, they are skipped, and the summary says so: that shows nothing about vLLM.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "support"))  # `tiny`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from entrobench.provenance import vllm_version

    if vllm_version() is None:
        skipped = pytest.mark.skip(reason="no vLLM in this environment: NOT tested here, run `make test-vllm`")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skipped)


@pytest.fixture(scope="session", autouse=True)
def _deterministic() -> None:
    """What the trainer demands of torch holds for vLLM in the same process."""
    import torch

    from entrobench.models.language_model import make_deterministic

    make_deterministic(torch.device("cpu"))
