"""The file that `entrobench new-method` writes: a working method of 20 lines to change."""

from __future__ import annotations

import importlib
import keyword
import re
from pathlib import Path

from entrobench.documents import named_files
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
    evidence = "text read"  # or "code read", "third-party note": how you know the formula
    neutral = {{"coefficient": 0.0}}  # settings that equal GRPO exactly; check-method holds you to it

    @dataclass(frozen=True)
    class Config:  # what a study may set: default, range, and where the default comes from
        coefficient: float = setting(0.001, low=0.0, source="ours")

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        # one of the hooks of entrobench/api.py: [b,T], with gradient, averaged over response tokens by the trainer
        return self.config.coefficient * tokens.logp
'''


def new_method(name: str) -> Path:
    """Write methods/<name>.py and return its path; its settings have no other file, so that its defaults are what runs.

    Raises InputError for a name that is no Python identifier in lower case, and for one that is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InputError(f"new-method: {name!r} is no name for a method: lower-case letters, digits and '_' only")
    if name in method_infos():
        raise InputError(f"new-method: the method {name!r} exists already: {method_infos()[name].source}")
    if name in named_files("methods"):
        raise InputError(f"new-method: the named variant {named_files('methods')[name]} has that name already")
    method = Path(str(importlib.import_module(GROUP).__file__)).parent / f"{name}.py"
    title = name.replace("_", " ").capitalize()
    method.write_text(METHOD.format(title=title, name="".join(part.capitalize() for part in name.split("_"))))
    return method
