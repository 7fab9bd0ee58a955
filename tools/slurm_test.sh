#!/usr/bin/env bash
# Test under Slurm: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [ARGUMENTS OF test.py]
. "$(dirname "$0")/launch.sh"
launch_slurm "$1" "$2" test "$3" "${4:?CHECKPOINT}" "${@:5}"
