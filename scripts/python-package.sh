#!/usr/bin/env bash
# Builds the wheel as `pip install .` does, installs it into fresh virtual environments of the oldest and the
# newest Python at hand, and runs python/tests in both. PyTorch is there in the newest one; what needs it says
# so where it is missing, and fails in the newest.
#
#   scripts/python-package.sh [FOLDER]     the environments go to FOLDER (default: a temporary one)
set -euo pipefail
cd "$(dirname "$0")/.."
root=${1:-$(mktemp -d)}
mkdir -p "$root"

# Prints the versions and paths of interpreters from 3.9 on, one a line, oldest first.
pythons() {
  for candidate in python3 python3.{9..14} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
    command -v "$candidate" >/dev/null || continue
    "$candidate" -c 'import sys, ensurepip
if (3, 9) <= sys.version_info < (3, 14): print("%d.%02d" % sys.version_info[:2], sys.executable)' 2>/dev/null || true
  done | sort -u -k 1,1
}

mapfile -t found < <(pythons)
[ ${#found[@]} -gt 0 ] || { echo "no Python from 3.9 on" >&2; exit 1; }
oldest=${found[0]#* }
newest=${found[-1]#* }
echo "oldest $("$oldest" --version), newest $("$newest" --version)"

"$newest" -m venv "$root/newest"
"$root/newest/bin/pip" install --quiet --disable-pip-version-check torch==2.11.0 torchvision==0.26.0 pytest &
torch=$!
"$newest" -m venv "$root/build"
"$root/build/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$root/wheel" .
wheel=$(ls "$root"/wheel/fairprune-*.whl)
echo "wheel $(basename "$wheel"), $(($(stat -c %s "$wheel") / 1000000)) MB"
wait $torch

"$root/newest/bin/pip" install --quiet --disable-pip-version-check "$wheel"
FAIRPRUNE_REQUIRE_TORCH=1 "$root/newest/bin/python" -m pytest -q python/tests

if [ "$oldest" != "$newest" ]; then
  "$oldest" -m venv "$root/oldest"
  "$root/oldest/bin/pip" install --quiet --disable-pip-version-check "$wheel" pytest
  "$root/oldest/bin/python" -m pytest -q python/tests
fi
