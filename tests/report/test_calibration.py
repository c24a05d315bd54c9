"""Calibration counts what a model's own answers show, and says in words what follows."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from entrobench.cli.main import app
from entrobench.config import parse
from entrobench.data.rows import Row
from entrobench.engines.rollout import Completion
from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.drawn_answers import Drawn, draw_answers
from entrobench.evaluation.report.calibration import (
    CalibrationSettings,
    advice,
    as_table,
    calibrate,
    mixed_share,
    right_counts,
    summarise,
    write,
)
from entrobench.models.language_model import load_model, load_tokenizer


def drawn(right: list[int], draws: int = 8, finish: str = "stop", logp: float = -0.5) -> list[Drawn]:
    """Rows with the answer 7, of whose answers the first `right` are right; two tokens each."""
    completion = Completion([4, 5], [logp, logp], finish)
    return [
        Drawn(
            Row(f"{n:016x}", "3 + 4", "7"),
            10 + n,
            [completion] * draws,
            ["3 + 4 = 7"] * count + ["8"] * (draws - count),
        )
        for n, count in enumerate(right)
    ]


def test_counts_shares_and_lengths() -> None:
    own = drawn([0, 2, 8])
    assert right_counts(own, "entrobench") == [0, 2, 8]
    found = summarise(own, [0, 2, 8], 8)
    assert (found.problems, found.draws) == (3, 8)
    assert found.right == pytest.approx(10 / 24)
    assert found.right_error == pytest.approx(
        math.sqrt(((0 - 5 / 12) ** 2 + (1 / 4 - 5 / 12) ** 2 + (7 / 12) ** 2) / 2 / 3)
    )
    assert found.far == pytest.approx(2 / 3)
    assert found.entropy == pytest.approx(0.5)
    assert (found.prompt_tokens, found.longest_prompt) == (11, 12)
    assert (found.answer_tokens, found.longest_answer, found.truncated) == (2, 2, 0)
    assert list(found.mixed) == [4, 8]
    assert found.mixed[8] == pytest.approx(1 / 3)


def test_the_share_of_mixed_groups_is_that_of_all_groups() -> None:
    counts = [0, 1, 3, 6]
    answers = [[1] * right + [0] * (6 - right) for right in counts]
    mixed = [[len(set(group)) > 1 for group in itertools.combinations(own, 3)] for own in answers]
    assert mixed_share(counts, 6, 3) == pytest.approx(sum(sum(own) / len(own) for own in mixed) / 4)


@pytest.mark.parametrize(
    ("right", "settings", "verdict", "said"),
    [
        ([8] * 19 + [7], {}, "saturated", "Saturated: 5% of groups of 8 are mixed, nearly all answers are right."),
        ([0] * 19 + [1], {}, "hopeless", "Hopeless: 5% of groups of 8 are mixed, nearly all answers are wrong."),
        ([0] * 7 + [1] * 3, {}, "thin", "Thin: 30% of groups of 8 are mixed. The others teach nothing: try dynamic"),
        ([2, 4, 4, 6], {}, "in between", "In between: 88% of groups of 4 are mixed, so methods have something"),
        ([4] * 4, {"finish": "length"}, "in between", "100% of answers are cut short: allow more max_response_tokens"),
        ([4] * 4, {"logp": -0.01}, "in between", "At 0.010 nats per token there is hardly any entropy"),
        ([4] * 4, {}, "in between", "max_response_tokens: 3 cuts hardly any answer."),
    ],
)
def test_the_verdict_in_words(right: list[int], settings: dict[str, Any], verdict: str, said: str) -> None:
    found = summarise(drawn(right, **settings), right, 8)
    assert found.verdict == verdict
    assert any(line.startswith(said) for line in advice(found)), advice(found)


def test_table_and_files_say_what_was_measured(tmp_path: Path) -> None:
    found = summarise(drawn([2, 6]), [2, 6], 8)
    table = as_table(found, "mine", "sums")
    assert [row[0].text for row in table.rows[:2]] == ["pass@1", "pass@8"]
    text, data = write(found, CalibrationSettings(), "mine", "sums", tmp_path)
    assert text.read_text().startswith("### mine on sums\n")
    assert "In between" in text.read_text()
    stored = json.loads(data.read_text())
    assert (stored["verdict"], stored["measured"]["right"], stored["settings"]["draws"]) == ("in between", 0.5, 16)


def test_a_model_is_measured_on_its_own_answers(tiny_folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Entropy is the mean of −ln p of what the model drew, and the same seed draws the same."""
    model, data = tiny_folders
    settings = parse(CalibrationSettings, {"problems": 6, "draws": 4, "max_tokens": 5, "reward": "random"}, "here")
    found = calibrate(model, data, "{problem}", settings)
    assert calibrate(model, data, "{problem}", settings) == found
    assert 0 < found.right < 1
    assert found.entropy > 1, "an untrained model of 64 words"
    assert found.longest_answer <= 5


def test_answers_are_drawn_to_held_out_rows_in_their_prompt(tiny_folders: tuple[Path, Path]) -> None:
    from entrobench.data.datasets import load_rows
    from entrobench.engines.rollout import NativeEngine, Sampling

    model, data = tiny_folders
    own = draw_answers(model, data, "1 {problem}", 3, 2, Sampling(max_tokens=4), "here")
    assert [item.row for item in own] == load_rows(data, "validation")[:3]
    tokenizer = load_tokenizer(model)
    assert {item.prompt for item in own} == {len(tokenizer.encode(f"<s> 1 {own[0].row.problem}"))}
    engine = NativeEngine(load_model(model), [tokenizer.eos_token_id], load_model(model).dtype)
    prompts = [tokenizer.encode(f"<s> 1 {item.row.problem}") for item in own]
    again = engine.generate(prompts, 2, Sampling(max_tokens=4), [item.row.id for item in own], "here")
    assert [answer.tokens for item in own for answer in item.completions] == [answer.tokens for answer in again]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-model", "chain2"], "no model in results/models/no-model: run `entrobench base-model no-model` first"),
        (["some/where", "chain2"], "no model in some/where: a model folder holds config.json"),
        (["m", "chain3"], "results/data/chain3 is not there: run `entrobench prepare-data chain3` first"),
        (["m", "chain9"], "unknown dataset 'chain9'"),
        (["m", "chain2", "--reward", "boxes"], "unknown reward 'boxes'"),
        (["m", "chain2", "--draws", "1"], "draws must be between 2 and 256"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    (tmp_path / "config").symlink_to(root / "config")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["calibrate", *arguments])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
