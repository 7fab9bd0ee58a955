#!/usr/bin/env bash
# Train on several processes: tools/dist_train.sh CONFIG PROCESSES [ARGUMENTS OF train.py]
. "$(dirname "$0")/launch.sh"
launch "${2:?PROCESSES}" train "$1" "${@:3}"
