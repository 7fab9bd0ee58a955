#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGUMENTS OF train.py]
# GPUS (default 8) in all, GPUS_PER_NODE (8), CPUS_PER_TASK (5); SRUN_ARGS go to srun as they are.
# PYTHON names the interpreter (default: python).
set -euo pipefail
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
gpus=${GPUS:-8} gpus_per_node=${GPUS_PER_NODE:-8}
if ((gpus < gpus_per_node)); then gpus_per_node=$gpus; fi
# shellcheck disable=SC2086 several words on purpose
exec srun --partition="$partition" --job-name="$job_name" --gres="gpu:$gpus_per_node" \
    --ntasks="$gpus" --ntasks-per-node="$gpus_per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "$0")/train.py" "$config" --work-dir "$work_dir" \
    --launcher slurm "$@"
