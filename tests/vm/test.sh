#!/bin/bash
# All checks of cameras in the guest: builds it when needed, then prints figures and writes the report.
#
#   tests/vm/test.sh            everything          tests/vm/test.sh -k vanishes     what pytest selects
#
# Environment: VM_CLIP (a video with a face; by default one of the demo's actor is made), VM_REPORT (the report's file;
# by default docs/measurements/virtual-camera-DATE.json, and none when only some of the checks are selected).
set -euo pipefail
HERE=$(dirname "$(realpath "$0")")
ROOT=$(realpath "$HERE/../..")
RESULTS=$(mktemp -d)
trap 'rm -rf "$RESULTS"' EXIT
"$HERE/build.sh"
if [ -z "${VM_CLIP:-}" ]; then
  VM_CLIP=$RESULTS/actor.mp4
  PYTHONPATH=$ROOT "$ROOT/.venv/bin/python" "$HERE/actor.py" "$VM_CLIP"
fi
export VM_CLIP
STATUS=0
"$HERE/vm.sh" "$RESULTS" python3 -m pytest -p instantly -p no:cacheprovider -o python_files='check_*.py' --rootdir=. -c /dev/null \
  --junit-xml=/run/ctl/results/outcomes.xml --tb=short -s -q "$@" . || STATUS=$?
[ $# = 0 ] || [ -n "${VM_REPORT:-}" ] || exit "$STATUS"
PYTHONPATH=$ROOT "$ROOT/.venv/bin/python" "$HERE/report.py" "$RESULTS" \
  "${VM_REPORT:-$ROOT/docs/measurements/virtual-camera-$(date +%F).json}"
exit "$STATUS"
