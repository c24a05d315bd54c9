"""YAML files that users write: read strictly, checked against a schema, every fault reported in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .errors import InputError, nearest, unknown

CONFIG = Path("config")
SCHEMAS = Path("workflow/schemas")
TYPES = {
    "array": "a list",
    "object": "a mapping",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "null": "null",
}


# libyaml's parser, where PyYAML has it, reads the hundred files of config/ ten times as fast
_SafeLoader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class _StrictLoader(_SafeLoader):  # type: ignore[misc]
    """Refuses a key given twice, which YAML otherwise resolves silently to the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(f"line {node.start_mark.line + 1}: the key {key!r} is given twice in one mapping")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top is a mapping. Raises InputError naming file and line."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise InputError(f"{path}: line {line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InputError(f"{path}: not a text file in UTF-8") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping of keys and values at the top")
    return content


def named_files(kind: str) -> dict[str, Path]:
    """The YAML files of config/<kind> by name."""
    return {path.stem: path for path in sorted((CONFIG / kind).glob("*.yaml"))}


def study_kind(name_or_path: str) -> str:
    """What a study's file says it is: `theory`, or `training` where it does not say or cannot be read."""
    path = named_files("studies").get(name_or_path, Path(name_or_path))
    return str(read_yaml(path).get("kind", "training")) if path.is_file() else "training"


def check_schema(content: Mapping[str, Any], schema: str, where: str) -> None:
    """Check structure against workflow/schemas/<schema>.schema.yaml; raises InputError for the first fault."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(read_yaml(SCHEMAS / f"{schema}.schema.yaml"))
    fault = next(iter(sorted(validator.iter_errors(content), key=lambda error: list(map(str, error.path)))), None)
    if fault is not None:
        place = _place(fault.absolute_path)
        raise InputError(f"{where}: {place}{_sentence(fault)}")


def with_preset(values: Mapping[str, Any], kind: str, allowed: Iterable[str], where: str) -> dict[str, Any]:
    """Values of a study file; `use: NAME` among them takes over config/<kind>/NAME.yaml, and the values beside it win.

    `where` names the file and the section. Raises InputError for a name or a key of the preset that does not exist.
    """
    own = {key: value for key, value in values.items() if key != "use"}
    if "use" not in values:
        return own
    files = named_files(kind)
    if values["use"] not in files:
        raise unknown("preset", str(values["use"]), files, f"{where}: use")
    path, allowed = files[values["use"]], list(allowed)
    content = read_yaml(path)
    check_schema(content, "preset", str(path))
    for key in content["values"]:
        if key not in allowed:
            raise InputError(
                f"{path}: values: unknown key {key!r} (allowed: {', '.join(allowed)}){nearest(key, allowed)}"
            )
    return {**content["values"], **own}


def _place(path: Iterable[str | int]) -> str:
    """["settings", 0, "model"] -> "settings[0].model: "."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text.lstrip('.')}: " if text else ""


def _sentence(fault: Any) -> str:
    """Say a fault of jsonschema in our words: what is wrong, what is allowed, what is near."""
    value, expected = fault.instance, fault.validator_value
    if fault.validator == "additionalProperties":
        allowed = list(fault.schema["properties"])
        key = next(key for key in value if key not in allowed)
        return f"unknown key {key!r} (allowed: {', '.join(allowed)}){nearest(key, allowed)}"
    if fault.validator == "required":
        missing = next(key for key in expected if key not in value)
        return f"the key {missing!r} is missing"
    if fault.validator == "type":
        types = [expected] if isinstance(expected, str) else expected
        return f"must be {' or '.join(TYPES[name] for name in types)}, got {value!r}"
    if fault.validator in ("minItems", "minProperties"):
        return "must name at least one, got none"
    if fault.validator == "uniqueItems":
        twice = next(item for item in value if value.count(item) > 1)
        return f"{twice!r} is given twice"
    if fault.validator == "pattern":
        return f"{value!r} is not a name: letters, digits, '_', '-' and '.' only, the first a letter or digit"
    return " ".join(str(fault.message).split())
