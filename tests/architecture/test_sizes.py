"""Small functions, small files."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

from libs.local.kafka import ROOT


def python_files() -> Iterator[Path]:
    for folder in ("libs", "services"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if path.read_text().strip())


def function_sizes() -> dict[str, int]:
    return {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }


def test_functions_are_small() -> None:
    sizes = sorted(function_sizes().values())
    assert statistics.median(sizes) <= 8
    assert sizes[int(0.9 * len(sizes))] <= 25


def test_no_function_is_long() -> None:
    assert {name: size for name, size in function_sizes().items() if size > 40} == {}


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in python_files()}
    assert {name: length for name, length in lengths.items() if length > 450} == {}
