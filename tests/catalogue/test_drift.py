"""The drift ledger says what the sources say: values out of the named variants, factors by division."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrobench.catalogue.drift import ledger, quantities
from entrobench.errors import InputError

ROOT = Path(__file__).parents[2]

# what the sources have, read in them and written here a second time: (setting, value of each entry, factors)
EXPECTED: dict[str, tuple[list[object], list[str]]] = {
    "kl_cov.fraction": (
        [0.002, 0.0002, 0.0002, 0.2, "0.0002"],
        ["", "10x less", "10x less", "100x more", "10x less"],
    ),
    "kl_cov.coefficient": ([1.0, 0.1], ["", "10x less"]),
    "kl_cov.scope": (["minibatch", "microbatch"], ["", "differs"]),
    "clip_cov.scope": (["minibatch", "microbatch"], ["", "differs"]),
    "clip_cov.clip_high": ([1.0, 0.2], ["", "5x less"]),
    "magic.delta": ([0.005, 0.0001, 0.001, 0.005], ["", "50x less", "5x less", ""]),
    "magic.coefficient_high": ([0.005, "none", 0.5, 1.0], ["", "differs", "100x more", "200x more"]),
    "magic.switch": (["own", "previous", "previous"], ["", "differs", "differs"]),
    "magic.estimator": (["surprisal", "analytic"], ["", "differs"]),
    "forking_tokens.scope": (["minibatch", "microbatch", "response"], ["", "differs", "differs"]),
    "forking_tokens.divisor": (["selected", "all", "selected"], ["", "differs", ""]),
    "entropy_advantage.kappa": ([2.0, 1.0], ["", "2x less"]),
    "aent.clamp": ([0.33, 0.25, 0.4, 0.2, "0.3"], ["", "1.32x less", "1.21x more", "1.65x less", "1.1x less"]),
    "aent.adaptive": ([True, False], ["", "differs"]),
    "cispo.clip_high": ([0.2, 5.0, 4.0, 4.0, 5.0], ["", "25x more", "20x more", "20x more", "25x more"]),
    "bapo.target": ([1.0, 1.0, 0.5], ["", "", "2x less"]),
    "ce_gppo.beta_low": ([0.75, 0.5, 0.25, "0.75"], ["", "1.5x less", "3x less", ""]),
    "ce_gppo.positive_coefficient": ([0.1, 0.0], ["", "differs"]),
    "gspo.clip_high": ([0.0025, "0.2"], ["", "80x more"]),
    "dppo.against": (["rollout", "recompute", "old"], ["", "differs", "differs"]),
    "dppo.ratio_ceiling": ([10.0, 10000.0, "20"], ["", "1e+03x more", "2x more"]),
    "stare.scope": (["minibatch", "microbatch"], ["", "differs"]),
    "stare.weight_positive": ([1.1, 1.05], ["", "1.05x less"]),
    "lp_reg.fraction": ([0.01, 0.005], ["", "2x less"]),
    "lp_reg.scope": (["minibatch", "microbatch"], ["", "differs"]),
    "clip_v.deviations": ([8.5, 2.0], ["", "4.25x less"]),
    "sent.scope": (["minibatch", "microbatch"], ["", "differs"]),
}


def test_every_quantity_has_the_values_and_factors_of_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = {q.setting: q for q in quantities() if q.setting}
    assert list(found) == list(EXPECTED)
    for setting, (values, factors) in EXPECTED.items():
        sources = found[setting].sources
        assert [source.value for source in sources] == values, setting
        assert [found[setting].factor(source) for source in sources] == factors, setting


def test_quantities_that_are_no_setting_stand_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    texts = {q.name: q for q in quantities() if not q.setting}
    epsilon = texts["GRPO: what is added to the standard deviation"]
    assert [epsilon.factor(source) for source in epsilon.sources] == ["", "100x more", ""]
    assert "unseeded randperm" in ledger()
    assert "  SkyRL's default" in ledger()


def test_without_the_variants_it_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no variant 'kl_cov_authors_7b' .* project's root"):
        ledger()
