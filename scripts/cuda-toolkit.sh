#!/usr/bin/env bash
# Installs the CUDA compiler into .cuda/ of this work tree, without root: 300 MB of Python wheels.
# The build finds it there. Needs Python 3 with pip; a second call does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# The compiler's parts are one release; the disassemblers read the output of any older one.
compiler='13.0.*'
disassembler='13.2.86'
packages=(
    "nvidia-cuda-nvcc==$compiler"
    "nvidia-cuda-crt==$compiler"
    "nvidia-cuda-runtime==$compiler"
    "nvidia-cuda-cccl==$compiler"
    "nvidia-nvvm==$compiler"
    "nvidia-cuda-cuobjdump==$disassembler"
    "nvidia-cuda-nvdisasm==$disassembler"
)

# What is installed: the mark is written last, so that an interrupted installation starts anew.
mark=.cuda/installed
if [[ "$(cat "$mark" 2>/dev/null)" != "${packages[*]}" ]]; then
    rm -rf .cuda
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
        --only-binary :all: --target .cuda "${packages[@]}"
    printf '%s\n' "${packages[*]}" > "$mark"
    # The next build looks for the compiler again.
    touch build.rs
fi

nvcc=$(echo .cuda/nvidia/*/bin/nvcc)
echo "$PWD/$nvcc"
"$nvcc" --version
