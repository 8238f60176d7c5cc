#!/usr/bin/env bash
# Kills every long command (train, score, prune, run, study, data cache) at random moments, or while a
# file is being written, or asks them to save and to stop, lets the same command go on, and compares bits:
#   scripts/soak-resume.sh [KILLS_OF_EACH_TEST]
# Thirteen tests; 100 kills each by default (500 of baselines), about an hour on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/.."
FAIRPRUNE_KILLS=${1:-100} cargo test --locked --release --test resume -- --nocapture --test-threads 1
