"""Starts a job script of Snakemake as a Kubernetes Job, made of job.yaml beside this file, and prints its name."""

from __future__ import annotations

import argparse
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).with_name("job.yaml")
GPU = "nvidia.com/gpu"  # of the device plug-in; amd.com/gpu for AMD's


def manifest(template: dict[str, Any], name: str, script: str, needs: argparse.Namespace) -> dict[str, Any]:
    """The template with name, command, walltime and resources filled in."""
    pod = template["spec"]["template"]["spec"]
    pod["activeDeadlineSeconds"] = 60 * needs.minutes  # of the pod: time in the queue does not count
    memory = f"{needs.memory}M"
    limits = {"memory": memory} | ({GPU: str(needs.gpus)} if needs.gpus else {})
    (container,) = pod["containers"]
    container["command"] = ["/bin/sh", "-c", script]
    container["workingDir"] = str(Path.cwd())
    container["resources"] = {"requests": {"cpu": str(needs.cpus), "memory": memory}, "limits": limits}
    return {**template, "metadata": {**template["metadata"], "name": name}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("cpus", "memory", "minutes", "gpus"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("script", type=Path)
    needs = parser.parse_args()
    name = f"entrobench-{uuid.uuid4()}"
    job = manifest(yaml.safe_load(TEMPLATE.read_text()), name, needs.script.read_text(), needs)
    create = ["kubectl", "create", "--filename", "-"]
    done = subprocess.run(create, input=yaml.safe_dump(job), text=True, stdout=sys.stderr, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    print(name)


if __name__ == "__main__":
    main()
