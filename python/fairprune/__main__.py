"""``python -m fairprune``: the command that the package installed."""

import os
import sys
import sysconfig


def find_program() -> str:
    """The path of the installed program.

    Raises:
        FileNotFoundError: it is in none of the folders where pip puts commands.
    """
    name = "fairprune" + (sysconfig.get_config_var("EXE") or "")
    schemes = [None, sysconfig.get_preferred_scheme("user")] if hasattr(sysconfig, "get_preferred_scheme") else [None]
    folders = [sysconfig.get_path("scripts", scheme) if scheme else sysconfig.get_path("scripts") for scheme in schemes]
    # A package that was installed with --target has its commands beside it.
    folders.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin"))
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"no program {name} in {', '.join(folders)}")


def main() -> None:
    """Becomes the program, with the same arguments, signals and exit code."""
    program = find_program()
    if os.name == "nt":
        import subprocess

        sys.exit(subprocess.run([program, *sys.argv[1:]]).returncode)
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
