# What the rules share: the study, loaded and checked once, and where its files are.
import os
import sys
from pathlib import Path

from entrobench.documents import study_kind
from entrobench.errors import InputError
from entrobench.results import EVALUATION, RESULTS
from entrobench.run_keys import RUN, SUBJECT
from entrobench.studies.workflow import Workflow, load_workflow
from entrobench.text import visible

# jobs find the entrobench of this environment, activated or not
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
os.environ.setdefault("PYTHONUTF8", "1")  # files are UTF-8, whatever this machine's language is

KIND = study_kind(str(config.get("study", "")))
try:
    if KIND == "theory":
        from entrobench.theory.study import load_workflow as load_theory

        WORKFLOW = load_theory(config)
    else:
        WORKFLOW = load_workflow(config)
except InputError as error:
    print(f"error: {visible(str(error))}", file=sys.stderr)
    raise SystemExit(2)

STUDY = WORKFLOW.study
ARGUMENT = WORKFLOW.argument
FILES = WORKFLOW.files


wildcard_constraints:
    run=RUN,
    subject=SUBJECT,
    evaluation=EVALUATION,
    model=r"[^/]+",
    dataset=r"[^/]+",
    key=r"[0-9a-f]+",
