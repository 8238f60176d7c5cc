#!/usr/bin/env python3
"""Writes docs/python-api.md from the signatures and docstrings of the Python package.

    python3 scripts/python-reference.py [--check]

--check writes nothing and fails where the page is not what the sources say; python/tests runs it so.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "fairprune"
PAGE = ROOT / "docs" / "python-api.md"
#: Where each public name is defined, in the order of the page.
CONTENTS = {
    "fairprune": [
        ("_arrays", ["recalls"]),
        ("_prune", ["quotas", "Quotas", "prune", "Subset", "Forecast", "Finding"]),
        ("_compare", ["compare", "Comparison"]),
        ("_recorder", ["Recorder"]),
        (
            "_files",
            ["read_scores", "Scores", "write_scores", "read_dynamics", "Dynamics", "read_features", "subset", "subset_indices"],
        ),
    ],
    "fairprune.torch": [
        ("torch/_grad_norms", ["GradNorms"]),
        ("torch/_score", ["score", "loss_scores"]),
    ],
}


def signature(node, name):
    """`name(arguments) -> result`, as the source has it."""
    arguments = ast.unparse(node.args)
    arguments = arguments[len("self") :].lstrip(", ") if arguments.split(",")[0] == "self" else arguments
    result = "" if node.returns is None or name[0].isupper() and "." not in name else f" -> {ast.unparse(node.returns)}"
    return f"{name}({arguments}){result}"


def docstring(node):
    text = ast.get_docstring(node) or ""
    return f"```text\n{text}\n```\n" if text else ""


def entries(node, name):
    """The parts of the page about a function or a class."""
    if isinstance(node, ast.FunctionDef):
        yield f"### `{signature(node, name)}`\n\n{docstring(node)}"
        return
    methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
    head = signature(methods["__init__"], name) if "__init__" in methods else name
    yield f"### class `{head}`\n\n{docstring(node)}"
    for method in methods.values():
        if method.name.startswith("_"):
            continue
        words = {ast.unparse(decorator) for decorator in method.decorator_list}
        if "property" in words:
            yield f"#### `{name}.{method.name}`\n\n{docstring(method)}"
        else:
            yield f"#### `{signature(method, f'{name}.{method.name}')}`\n\n{docstring(method)}"


def page():
    parts = [
        "# Python reference\n\nMade of the sources by `scripts/python-reference.py`. How the parts work together is in "
        "[pytorch.md](pytorch.md).\n"
    ]
    for module, files in CONTENTS.items():
        parts.append(f"## `{module}`\n")
        for file, names in files:
            tree = ast.parse((PACKAGE / f"{file}.py").read_text())
            nodes = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
            for name in names:
                parts.extend(entries(nodes[name], name))
    return "\n".join(parts)


def main():
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit(f"{PAGE.name}: found another page than the sources give, expected that of {Path(__file__).name}")
        return
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
