#!/usr/bin/env bash
# Kills training, scoring and the comparison at random moments, most of them while a file is being
# written, resumes, and compares bits: scripts/soak-resume.sh [KILLS_OF_EACH_TEST]
# Five tests; 30 kills each by default, about 10 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/.."
FAIRPRUNE_KILLS=${1:-30} cargo test --locked --release --test resume -- --nocapture --test-threads 1
