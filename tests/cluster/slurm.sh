#!/usr/bin/env bash
# Runs a study through profiles/slurm on a real Slurm of this one machine, stops its training jobs, and compares
# every bit with a run without a cluster. `make test-cluster` runs it; some minutes on two idle cores.
#
# Takes Slurm and munge from the distribution (apt-get, once) and the extra `slurm` into the environment in BIN.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
BIN=${BIN:-$ROOT/.venv/bin}
PATH=$PATH:/usr/sbin
FOLDER=$(mktemp -d)
DAEMONS=()
WORKFLOW=
STUDY=cluster
# it polls sooner than the profile says, since the jobs are short
ON_SLURM=("$BIN/snakemake" --workflow-profile profiles/slurm --slurm-init-seconds-before-status-checks 3 --config)
RUNS=$FOLDER/slurm-project/results/$STUDY/runs/chain-tiny/chain2
LOGS=$FOLDER/slurm-project/results/$STUDY/logs/train/chain-tiny/chain2
source "$ROOT/tests/cluster/slurm_node.sh"

fail() {
  echo "slurm test: $*" >&2
  exit 1
}

say() {
  echo "[$SECONDS s] $*"
}

wait_until() { # seconds, what for, command
  local end=$((SECONDS + $1))
  until "${@:3}" > /dev/null 2>&1; do
    ((SECONDS < end)) || fail "waited $1 s for $2"
    [[ -z $WORKFLOW ]] || kill -0 "$WORKFLOW" 2> /dev/null || fail "the study ended before $2"
    sleep 0.2
  done
}

start() { # log, command: in the background, since bash heeds no signal while it waits for one in the foreground
  "${@:2}" > "$FOLDER/$1.log" 2>&1 &
  WORKFLOW=$!
}

ended() { # what it was
  wait "$WORKFLOW" || fail "$1 failed"
  WORKFLOW=
}

finish() {
  local status=$?
  trap - EXIT
  if ((status)) && ((${#DAEMONS[@]})); then
    { squeue --format='%i %T %r %j'; sinfo --list-reasons; } > "$FOLDER/queue.log" 2>&1 || true
  fi
  # told to end, it starts nothing more, but waits for its jobs: they end with Slurm
  [[ -z $WORKFLOW ]] || kill "$WORKFLOW" 2> /dev/null || true
  stop_slurm
  [[ -z $WORKFLOW ]] || { kill -KILL "$WORKFLOW" || true; wait "$WORKFLOW" || true; } 2> /dev/null
  if ((status)); then
    echo "slurm test: failed; logs are kept in $FOLDER" >&2
    tail -n 30 "$FOLDER"/*.log >&2 || true
  else
    rm -rf "$FOLDER"
  fi
  exit $status
}

install_what_is_missing() {
  local sudo=; ((EUID == 0)) || sudo=sudo
  if ! type slurmctld slurmd munged sbatch > /dev/null 2>&1; then
    say "installing Slurm from the distribution"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
      slurmctld slurmd slurm-client munge > /dev/null
  fi
  if ! "$BIN/python" -c "import snakemake_executor_plugin_slurm" 2> /dev/null; then
    say "installing the extra slurm"
    "$BIN/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation \
      --constraint "$ROOT/requirements.lock" --editable "$ROOT[slurm]"
  fi
}

new_project() { # name: a project folder with the study in it
  mkdir "$FOLDER/$1"
  cp -r "$ROOT"/{Snakefile,workflow,profiles,config} "$FOLDER/$1"
  cp "$ROOT/tests/cluster/study.yaml" "$FOLDER/$1/config/studies/$STUDY.yaml"
}

job_of() { # method: the id of its training job, as long as it runs
  squeue --noheader --states=RUNNING --format='%i %k' | sed -n "s/ rule_train_wildcards_.*_$1_seed0\$//p"
}

stop_in_the_middle() { # method, command that takes a job's id
  wait_until 900 "a checkpoint of $1" compgen -G "$RUNS/$1/seed0/checkpoints/step*"
  local job; job=$(job_of "$1")
  [[ -n $job ]] || fail "$1 has a checkpoint and no job"
  "${@:2}" "$job"
  say "$1: ${*:2} $job, after $(cd "$RUNS/$1/seed0/checkpoints" && ls | tail -n 1)"
}

[[ -z $(pgrep -x slurmctld) ]] || { echo "slurm test: a slurmctld runs on this machine: refused" >&2; exit 2; }
trap finish EXIT
trap "exit 130" INT TERM
install_what_is_missing
new_project local-project
new_project slurm-project

say "without a cluster"
cd "$FOLDER/local-project"
start local "$BIN/snakemake" --config study=$STUDY
ended "the study without a cluster"

start_slurm
say "Slurm $(scontrol --version | cut -d' ' -f2): $(sinfo --noheader --format='%D node, %c cores, %G')"
cd "$FOLDER/slurm-project"
start database "${ON_SLURM[@]}" study=$STUDY -- results/.mlflow-ready
ended "the database"
BEFORE=$(sha256sum < results/mlflow.db)
start slurm "${ON_SLURM[@]}" study=$STUDY --until report
stop_in_the_middle grpo scancel & # as the walltime does: SIGTERM, then SIGKILL
STOPPED=$!
stop_in_the_middle aent scontrol requeue # as preemption does
wait $STOPPED
ended "the study on Slurm"
for method in grpo aent; do
  say "$method: $(grep -h -m 1 'resuming after step' "$LOGS/$method/seed0.log" || fail "$method did not resume")"
done

[[ $BEFORE == $(sha256sum < results/mlflow.db) ]] || fail "a job wrote to the MLflow database"
say "no job wrote to the MLflow database"
start track "${ON_SLURM[@]}" study=$STUDY
ended "the tracking"
(cd "$FOLDER" && "$BIN/python" "$ROOT/tests/cluster/same_results.py" local-project slurm-project $STUDY)

# what a run of two processes on GPUs asks for; it takes over the finished run, so that it needs none
sed 's/device: cpu/device: cuda, processes: 2/' "$ROOT/tests/cluster/study.yaml" > config/studies/gpu.yaml
start gpu timeout 300 "${ON_SLURM[@]}" study=gpu -- results/gpu/runs/chain-tiny/chain2/aent/seed0/steps.parquet
ended "the run that asks for GPUs"
JOB=$(scontrol --oneliner show job | tail -n 1)
for part in TresPerJob=gres:gpu:2 NumCPUs=2 TRES=cpu=2,mem=125G TimeLimit=2-00:00:00 Requeue=1; do
  [[ $JOB == *" $part"* ]] || fail "a job of two processes on GPUs does not ask for $part: $JOB"
done
say "a run of two processes asks for two GPUs, two cores, twice the memory and two days"
say "passed"
