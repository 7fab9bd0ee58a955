#!/usr/bin/env bash
# Test on several processes: tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [ARGUMENTS OF test.py]
. "$(dirname "$0")/launch.sh"
launch "${3:?PROCESSES}" test "$1" "$2" "${@:4}"
