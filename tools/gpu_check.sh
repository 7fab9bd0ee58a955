#!/usr/bin/env bash
# What a GPU does with MSPose, in 8 minutes and without a network: a table, and
# work_dirs/gpu_check/result.json. Takes the arguments of `mspose gpu-check`, of which this is the
# same without an installation of MSPose itself.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" mspose_command.py gpu-check "$@"
