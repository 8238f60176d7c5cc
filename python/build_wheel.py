"""Builds the wheel: first the program, with cargo, then the native module and the wheel, with maturin.

maturin packs either a program or a module, and this package has both: the program goes to the folder of
data whose ``scripts`` pip installs as commands.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import maturin

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "python" / "fairprune.data" / "scripts"


def build_program():
    """Compiles ``fairprune`` and puts it, without its symbols, where maturin looks for scripts."""
    command = ["cargo", "build", "--release", "--locked", "--bin", "fairprune", "--message-format=json-render-diagnostics"]
    # The module comes from the same call, so that the library is compiled once for both.
    command += ["--package", "fairprune", "--package", "fairprune-python", "--lib"]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout
    program = None
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "fairprune":
            program = Path(message["executable"])
    if program is None:
        raise SystemExit("cargo built no program named fairprune")
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    target = SCRIPTS / program.name
    shutil.copy2(program, target)
    strip = shutil.which("strip")
    if strip and os.name == "posix":
        subprocess.run([strip, str(target)], check=True)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """PEP 517: builds the wheel and returns its name."""
    build_program()
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """PEP 660: the same for a package whose Python files stay where they are."""
    build_program()
    return maturin.build_editable(wheel_directory, config_settings, metadata_directory)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """PEP 517: name, version and requirements, before anything is compiled."""
    # maturin looks for the folder of data, which is empty so far.
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
build_sdist = maturin.build_sdist
get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_editable = maturin.get_requires_for_build_editable
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
