# Sourced by dist_*.sh and slurm_*.sh: one of the tools in several processes, one for each GPU.
# PYTHON names the interpreter (default: python).
set -euo pipefail
tools=$(dirname "${BASH_SOURCE[0]}")
python=${PYTHON:-python}

# launch PROCESSES TOOL [ARGUMENTS]: processes of this machine, which share the CPU (gloo) where there
# is no GPU. Several machines: the same command on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT.
launch() {
    local processes=$1 tool=$2
    shift 2
    exec "$python" -m torch.distributed.run --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
        "$tools/$tool.py" --launcher pytorch "$@"
}

# launch_slurm PARTITION JOB_NAME TOOL [ARGUMENTS]: GPUS (default 8) in all, GPUS_PER_NODE (8),
# CPUS_PER_TASK (5), PORT (29500), by which the processes meet; SRUN_ARGS go to srun as they are.
launch_slurm() {
    local partition=$1 job_name=$2 tool=$3 gpus=${GPUS:-8} gpus_per_node=${GPUS_PER_NODE:-8}
    shift 3
    if ((gpus < gpus_per_node)); then gpus_per_node=$gpus; fi
    export MASTER_PORT=${PORT:-${MASTER_PORT:-29500}} # mmengine's name, which srun hands on
    # shellcheck disable=SC2086 several words on purpose
    exec srun --partition="$partition" --job-name="$job_name" --gres="gpu:$gpus_per_node" \
        --ntasks="$gpus" --ntasks-per-node="$gpus_per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "$python" -u "$tools/$tool.py" --launcher slurm "$@"
}
