"""Methods as a study names them: a registered method, or a named variant in config/methods, with overriding values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from entrobench.config import parse, stored
from entrobench.documents import check_schema, named_files, read_yaml
from entrobench.errors import InputError, unknown
from entrobench.run_config import Variant

from .declarations import candidates, split
from .registry import load_method, method_infos


def resolve(methods: Sequence[str] | Mapping[str, Mapping[str, Any] | None], where: str) -> list[Variant]:
    """Resolve a study's `methods`: a list of names, or {name: values}; `use: NAME` among the values names the source.

    `aent: {use: aent_math, warmup: 10}` runs the variant aent_math with another warm-up under the name aent.
    """
    entries = dict(methods) if isinstance(methods, Mapping) else dict.fromkeys(methods)
    return [_resolve(name, values or {}, where) for name, values in entries.items()]


def _resolve(name: str, values: Mapping[str, Any], where: str) -> Variant:
    files = named_files("methods")
    source = str(values.get("use", name))
    own = {key: value for key, value in values.items() if key != "use"}
    if source not in files and source not in method_infos():
        raise unknown("method", source, {*files, *method_infos()}, where)
    preset = load_variant(source, files[source]) if source in files else Variant(source, source, {})
    given, declared = split(own, f"{where}: {name}")
    settings = load_method(preset.use, where).Config
    for possible in candidates(declared):
        config = parse(settings, {**preset.values, **given, **possible}, f"{where}: {name}")
    values = {key: value for key, value in stored(config).items() if key not in declared}
    return Variant(name, preset.use, values, declared)


def load_variant(name: str, path: Path) -> Variant:
    """Read config/methods/<name>.yaml; its values are those written in it. Raises InputError for any fault."""
    content = read_yaml(path)
    check_schema(content, "method", str(path))
    use = content["use"]
    if use not in method_infos():
        raise unknown("method", use, method_infos(), f"{path}: use")
    if name in method_infos():
        raise InputError(
            f"{path}: a variant must not be named like a method: whoever names {name!r} would get this file's values "
            "instead of the method's defaults; rename the file"
        )
    parse(load_method(use, str(path)).Config, content.get("values"), f"{path}: values")
    return Variant(name, use, content.get("values") or {})


def inert_on_policy(use: str) -> bool:
    """Whether a registered method does nothing at one update per step."""
    return load_method(use).inert_on_policy
