"""A hook that returns what it must not stops the training before the update, in one line, with its checkpoint left."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import run_config, save_data, save_tiny, weights
from torch import Tensor

from entrobench.api import Method
from entrobench.cli.main import main
from entrobench.entropy.logits import entropy, is_own
from entrobench.errors import InputError
from entrobench.models.weights import restore_model
from entrobench.run_config import Variant
from entrobench.training import checkpoint, hook_checks


class Late(Method):
    """Right until step 3, when one hook returns something else."""

    def sampling(self, progress: Any) -> Any:
        self.step = progress.step
        return self.answer("sampling", super().sampling(progress))

    def keep(self, step: Any) -> Any:
        return self.answer("keep", super().keep(step))

    def advantages(self, step: Any) -> Any:
        return self.answer("advantages", super().advantages(step))

    def token_stats(self) -> Any:
        return self.answer("token_stats", {"peak": self.peak})

    def peak(self, logits: Any) -> Any:
        with torch.no_grad():
            self.answer("logits", logits)
        return self.answer("peak", logits.amax(-1))

    def select(self, batch: Any, rng: Any) -> Any:
        return self.answer("select", {"weight": torch.ones_like(batch.logp_old)})

    def token_loss(self, tokens: Any) -> Any:
        return self.answer("token_loss", super().token_loss(tokens))

    def regularizer(self, tokens: Any) -> Any:
        return self.answer("regularizer", 0.01 * tokens.stats["peak"])

    @classmethod
    def answer(cls, hook: str, value: Any) -> Any:
        raise NotImplementedError


STATS = {"peak": "token_stats", "logits": "token_stats"}


def poisoned(value: float, *place: int) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        where = torch.zeros_like(tensor, dtype=torch.bool)
        where[place] = True
        return torch.where(where, value, tensor)

    return change


THEIRS = "unsupported operand type(s) for /: 'dict' and 'str' at "
BAD: list[tuple[str, Callable[[Any], Any], str]] = [
    ("sampling", lambda value: {"temperature": math.nan}, "a finite number above 0}, got {'temperature': nan}"),
    ("sampling", lambda value: 1.0, "sampling must return {'temperature': a finite number above 0}, got 1.0"),
    ("keep", lambda value: value.float(), "keep must return torch.bool, got torch.float32"),
    ("keep", lambda value: value[:3], "keep must return [S] = [16], got [3]"),
    ("advantages", lambda value: value[:, :1], "advantages must return [S,T] = [16, "),
    ("advantages", lambda value: value.double(), "advantages must return torch.float32, got torch.float64"),
    ("advantages", poisoned(math.inf, 4, 1), "advantages is inf at [4, 1] (sequence, token)"),
    ("token_stats", lambda value: None, "token_stats must return a mapping of names to functions, got NoneType"),
    ("peak", lambda value: value[:, None], "token_stats: peak must return [n] = ["),
    ("logits", lambda logits: logits.sub_(1), "token_stats: peak changes its logits in place"),
    ("peak", poisoned(math.nan, 0), "token_stats: peak is nan at [0, 0] (sequence, token)"),
    ("select", lambda value: {"weight": 1.0}, "select: weight must return a tensor [B,T], got float"),
    ("select", lambda value: {"weight": value["weight"][0]}, "select: weight must return [B,T] = [8, "),
    ("select", lambda value: {"weight": poisoned(math.nan, 3, 0)(value["weight"])}, "select: weight is nan at [3, 0]"),
    ("token_loss", lambda value: value.mean(), "token_loss must return [b,T] = [4, "),
    ("token_loss", lambda value: None, "token_loss must return a tensor [b,T], got NoneType"),
    ("token_loss", poisoned(-math.inf, 2, 1), "token_loss is -inf at [2, 1] (sequence, token)"),
    ("regularizer", lambda value: value.sum(), "regularizer must return [b,T] = [4, "),
    ("regularizer", poisoned(math.nan, 1, 0), "regularizer is nan at [1, 0] (sequence, token)"),
    *((hook, lambda value: value / "x", f"raised TypeError: {THEIRS}") for hook in ("select", "sampling")),
    *((hook, lambda value: value["x"], f" at {__file__}:") for hook in ("keep", "advantages", "token_loss")),
    *((hook, lambda value: value.no_such_name, "has no attribute 'no_such_name' at ") for hook in ("regularizer",)),
    ("token_stats", lambda value: value["peek"], "token_stats raised KeyError: 'peek' at "),
    ("peak", lambda value: value.no_such_name, "token_stats: peak raised AttributeError: "),
]


@pytest.mark.parametrize(("hook", "change", "line"), BAD, ids=[f"{hook}-{line[-24:]}" for hook, _, line in BAD])
def test_training_stops_before_the_update(
    make_trainer: Any, use_method: Any, hook: str, change: Callable[[Any], Any], line: str
) -> None:
    class Wrong(Late):
        @classmethod
        def answer(cls, name: str, value: Any) -> Any:
            return change(value) if name == hook and trainer.position.step == 3 else value

    use_method(Wrong)
    trainer = make_trainer(steps=5)
    with pytest.raises(InputError) as caught:
        trainer.run()
    assert f"method 'grpo', step 3: {STATS.get(hook, hook)}" in str(caught.value)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("the last checkpoint is intact")
    intact(trainer)


@pytest.mark.parametrize("hook", ["before_updates", "after_step"])
def test_an_exception_in_a_hook_without_a_return_is_one_line_and_its_traceback_in_the_log(
    make_trainer: Any, use_method: Any, capfd: pytest.CaptureFixture[str], hook: str
) -> None:
    class Raises(Method):
        pass

    def raising(self: Any, record: Any) -> None:
        if record.step == 3:
            raise ValueError("two\nlines")

    setattr(Raises, hook, raising)
    use_method(Raises)
    with pytest.raises(InputError) as caught:
        make_trainer(steps=5).run()
    place = f"{__file__}:{raising.__code__.co_firstlineno + 2}"
    assert f"step 3: {hook} raised ValueError: two lines at {place}; training stops here" in str(caught.value)
    log = capfd.readouterr().err
    assert "Traceback (most recent call last)" in log
    assert 'raise ValueError("two\\nlines")' in log


def test_an_exception_while_the_method_is_made_is_one_line(
    make_trainer: Any, use_method: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    class Unborn(Method):
        def initial_state(self) -> Any:
            return self.config.no_such_setting

    use_method(Unborn)
    with pytest.raises(InputError, match=r"method 'grpo': initial_state raised AttributeError: .* at .*\.py:"):
        make_trainer()
    assert "return self.config.no_such_setting" in capfd.readouterr().err


def intact(trainer: Any) -> None:
    """The newest checkpoint is that of step 2, and the weights are still its weights: no update followed."""
    found = checkpoint.latest(trainer.parts.folder / "checkpoints", trainer.identity)
    assert found is not None
    assert checkpoint.load_state(found)["step"] == 2
    now = weights(trainer).clone()
    restore_model(trainer.parts.model, checkpoint.load_tensors(found, "model"))
    assert torch.equal(weights(trainer), now)


def test_a_state_that_is_no_number_never_reaches_a_checkpoint(make_trainer: Any, use_method: Any) -> None:
    class Diverges(Method):
        @dataclass
        class State:
            level: float = 0.0

        def after_step(self, summary: Any) -> None:
            self.state.level = math.nan if summary.step == 3 else 1.0

    use_method(Diverges)
    trainer = make_trainer(steps=5)
    with pytest.raises(InputError, match=r"step 3: after_step or before_updates left state\.level at nan"):
        trainer.run()
    found = checkpoint.latest(trainer.parts.folder / "checkpoints", trainer.identity)
    assert found is not None
    assert checkpoint.load_state(found)["method"] == {"level": 1.0}


def test_a_gradient_that_is_not_finite_is_told_apart(make_trainer: Any, use_method: Any) -> None:
    class Root(Method):
        def regularizer(self, tokens: Any) -> Tensor:
            return (tokens.logp - tokens.logp.detach()).abs().sqrt()  # 0, with an infinite slope

    use_method(Root)
    with pytest.raises(InputError, match="step 1: the gradient is not finite, though all that the hooks returned is"):
        make_trainer().run()


@pytest.mark.parametrize(
    ("declared", "line"),
    [
        ({"fresh": ("entropi",)}, "fresh names 'entropi', which is none of entropy, logp"),
        ({"old_stats": ("peak",)}, "old_stats names 'peak', which is none of token_stats: there are none"),
        ({"divisor": "selected"}, "select must return 'selected', the divisor of the loss; got nothing"),
    ],
)
def test_declarations_that_do_not_fit(make_trainer: Any, use_method: Any, declared: Any, line: str) -> None:
    use_method(type("Declares", (Method,), declared))
    with pytest.raises(InputError, match=f"step 1: {line}"):
        make_trainer().run()


WRONG_PLUG_IN = """
from entrobench.api import Method

class LengthBonus(Method):
    def advantages(self, step):
        return super().advantages(step)[:, :1] if step.step == 3 else super().advantages(step)
"""


def test_the_command_line_says_it_in_one_line(
    plug_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    module = plug_in / "entrobench_example" / "length_bonus.py"
    module.write_text(WRONG_PLUG_IN)
    save_tiny(tmp_path / "results" / "models" / "tiny")
    save_data(tmp_path / "results" / "data" / "tiny")
    run = tmp_path / "run"
    run.mkdir()
    config = replace(run_config(reward="random"), method=Variant("short", "length_bonus", {}))
    (run / "config.json").write_text(json.dumps(config.content))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["entrobench", "train", "run", "--device", "cpu", "--checkpoint-every", "1"])
    capfd.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "run: method 'short', step 3: advantages must return [S,T] = [16, 6], got [16, 1]" in line
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step000001", "step000002"]
    assert not (run / "final").exists()
    module.write_text(WRONG_PLUG_IN.replace("[:, :1] if", " if"))
    del sys.modules["entrobench_example.length_bonus"]
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    assert (run / "final").is_dir(), "of a mended source: it starts afresh"


def test_an_entropy_of_ours_stays_itself_and_so_shares_the_log_probabilities_work(make_trainer: Any) -> None:
    for method, stat in (("aent", "clamped_entropy"), ("siren", "nucleus_entropy"), ("entropy_bonus", "entropy")):
        trainer = make_trainer(method, method)
        assert is_own(hook_checks.token_stats(trainer.parts.method)[stat]), method
    assert not is_own(lambda logits: entropy(logits))
