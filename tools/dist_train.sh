#!/usr/bin/env bash
# Train on several processes of this machine: tools/dist_train.sh CONFIG PROCESSES [ARGUMENTS OF train.py]
# One process for each GPU; without a GPU the processes share the CPU (gloo).
# PYTHON names the interpreter (default: python).
set -euo pipefail
config=$1 processes=$2
shift 2
exec "${PYTHON:-python}" -m torch.distributed.run --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
