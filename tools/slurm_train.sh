#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGUMENTS OF train.py]
. "$(dirname "$0")/launch.sh"
launch_slurm "$1" "$2" train "$3" --work-dir "${4:?WORK_DIR}" "${@:5}"
