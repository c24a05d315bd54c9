# A Slurm cluster of this one machine, for tests: sourced by slurm.sh. Everything listens on the loopback interface and
# lies in $FOLDER/slurm; nothing of systemd or cgroups is used.

start_daemon() { # name, command: runs it in the background and remembers its process
  "${@:2}" > "$FOLDER/slurm/$1.out" 2>&1 &
  DAEMONS+=($!)
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

write_slurm_configuration() {
  local host; host=$(hostname -s)
  local cores; cores=$(getconf _NPROCESSORS_ONLN) # nproc would say OMP_NUM_THREADS
  ((cores >= 2)) || cores=2
  cat > "$SLURM_CONF" <<END
ClusterName=entrobench
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$FOLDER/slurm/munge.socket
CredType=cred/munge
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
StateSaveLocation=$FOLDER/slurm/state
SlurmdSpoolDir=$FOLDER/slurm/spool
SlurmctldPidFile=$FOLDER/slurm/slurmctld.pid
SlurmdPidFile=$FOLDER/slurm/slurmd.pid
SlurmctldLogFile=$FOLDER/slurm/slurmctld.log
SlurmdLogFile=$FOLDER/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=500000,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
KillWait=5
# room for what the profile asks for: the GPUs, the memory and a second core exist on paper alone
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=1000000 Gres=gpu:8 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
  touch "$FOLDER"/slurm/gpu{0..7}
  echo "Name=gpu File=$FOLDER/slurm/gpu[0-7]" > "$FOLDER/slurm/gres.conf"
}

start_slurm() { # needs $FOLDER; sets SLURM_CONF and DAEMONS
  export SLURM_CONF=$FOLDER/slurm/slurm.conf
  mkdir -p "$FOLDER"/slurm/{state,spool,bin}
  # the plug-in starts srun without any SLURM_ variable, and /etc/slurm is left alone
  printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(command -v srun)" > "$FOLDER/slurm/bin/srun"
  chmod +x "$FOLDER/slurm/bin/srun"
  export PATH=$FOLDER/slurm/bin:$PATH
  write_slurm_configuration
  head -c 1024 /dev/urandom > "$FOLDER/slurm/munge.key"
  chmod 400 "$FOLDER/slurm/munge.key"
  start_daemon munged munged --foreground --force --num-threads=2 --key-file="$FOLDER/slurm/munge.key" \
    --socket="$FOLDER/slurm/munge.socket" --pid-file="$FOLDER/slurm/munge.pid" \
    --log-file="$FOLDER/slurm/munge.log" --seed-file="$FOLDER/slurm/munge.seed"
  wait_until 10 "munged to start" test -S "$FOLDER/slurm/munge.socket"
  start_daemon slurmctld slurmctld -D
  start_daemon slurmd slurmd -D
  wait_until 30 "the node to be idle" sh -c "sinfo --noheader --format=%T | grep -qx idle"
}

stop_slurm() { # the jobs, then the node, the keys last
  local i
  ((${#DAEMONS[@]})) || return 0
  scancel --signal=KILL --full --user "$(id -un)" || true
  scancel --user "$(id -un)" || true
  for ((i = 0; i < 60; i++)); do
    [[ -n $(squeue --noheader 2> /dev/null) ]] || break
    sleep 0.5
  done
  for ((i = ${#DAEMONS[@]} - 1; i >= 0; i--)); do
    kill "${DAEMONS[i]}" 2> /dev/null && wait "${DAEMONS[i]}" 2> /dev/null || true
  done
}
