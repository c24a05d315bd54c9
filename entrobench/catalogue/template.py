"""The file that `entrobench new-method` writes: a working method of 20 lines to change."""

from __future__ import annotations

import importlib
import keyword
import re
from pathlib import Path

from entrobench.documents import CONFIG
from entrobench.errors import InputError

from .registry import GROUP, method_infos

METHOD = '''"""{title}: say in one line what it does to the entropy, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class {name}(Method):
    """GRPO plus a bonus on unlikely tokens: loss + coefficient * logp. Replace it with your formula and its symbols."""

    paper = "title, arXiv number, section, equation"  # shown by `entrobench methods`
    neutral = {{"coefficient": 0.0}}  # settings that equal GRPO exactly; check-method holds you to it

    @dataclass(frozen=True)
    class Config:  # what a study may set: default, range, and where the default comes from
        coefficient: float = setting(0.001, low=0.0, source="ours")

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        # one of the hooks of entrobench/api.py: [b,T], with gradient, averaged over response tokens by the trainer
        return self.config.coefficient * tokens.logp
'''

VARIANT = """# A named variant of {name}: put the paper's sentence, or "ours", beside each value.
use: {name}
values:
  coefficient: 0.001 # ours
"""


def new_method(name: str) -> list[Path]:
    """Write methods/<name>.py and config/methods/<name>.yaml; return both paths.

    Raises InputError for a name that is no Python identifier in lower case, and for one that is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InputError(f"new-method: {name!r} is no name for a method: lower-case letters, digits and '_' only")
    method = Path(str(importlib.import_module(GROUP).__file__)).parent / f"{name}.py"
    variant = CONFIG / "methods" / f"{name}.yaml"
    if name in method_infos():
        raise InputError(f"new-method: the method {name!r} exists already: {method_infos()[name].source}")
    if variant.exists():
        raise InputError(f"new-method: {variant} exists already")
    variant.parent.mkdir(parents=True, exist_ok=True)
    title = name.replace("_", " ").capitalize()
    method.write_text(METHOD.format(title=title, name="".join(part.capitalize() for part in name.split("_"))))
    variant.write_text(VARIANT.format(name=name))
    return [method, variant]
