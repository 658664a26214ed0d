"""The rules of the house: import contracts, sizes, and names that gather everything and mean nothing."""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("node", "model", "train")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MIGRATIONS = ROOT / "node" / "storage" / "migrations" / "versions"

MODULE_LINES = 300
FUNCTION_LINES = 40
PARAMETERS = 6
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines_of(node: Function) -> int:
    """Lines of a function from its ``def`` to its end, its docstring not counted."""
    first = node.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return node.end_lineno - node.lineno + 1 - docstring


def parameters_of(node: Function) -> int:
    """Parameters that a caller fills: self and cls, *args and **kwargs not counted."""
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([one for one in named if one.arg not in {"self", "cls"}])


def fills_a_command_line(node: Function) -> bool:
    """Whether a function is a command: its parameters are options that people type."""
    called = [one.func for one in node.decorator_list if isinstance(one, ast.Call)]
    return any(isinstance(one, ast.Attribute) and one.attr in {"command", "callback"} for one in called)


def functions(source: str) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))


def long_modules(source: str) -> list[str]:
    lines = len(source.splitlines())
    return [f"{lines} lines"] if lines > MODULE_LINES else []


def long_functions(source: str) -> list[str]:
    return [f"{one.name} ({lines_of(one)} lines)" for one in functions(source) if lines_of(one) > FUNCTION_LINES]


def crowded_functions(source: str) -> list[str]:
    return [
        f"{one.name} ({parameters_of(one)} parameters)"
        for one in functions(source)
        if parameters_of(one) > PARAMETERS and not fills_a_command_line(one)
    ]


def bare_imports(source: str) -> list[str]:
    """``import model`` hides which part is meant; ``from model.scoring import agatston`` says it."""
    return [
        f"line {node.lineno}: import {alias.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name in PACKAGES
    ]


def offenders(check):
    """Every fault that ``check`` finds in what people wrote, with its file; migrations are generated."""
    written = [path for path in MODULES if MIGRATIONS not in path.parents]
    return [
        f"{path.relative_to(ROOT)}: {fault}" for path in written for fault in check(path.read_text(encoding="utf-8"))
    ]


def test_there_is_a_house():
    assert len(MODULES) > 20


def test_import_contracts_hold():
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"
    result = run([linter, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("check", [long_modules, long_functions, crowded_functions, bare_imports])
def test_sizes_and_imports(check):
    found = offenders(check)
    assert not found, "\n".join(found)


def test_no_module_is_named_for_everything():
    found = [str(path.relative_to(ROOT)) for path in MODULES if FORBIDDEN & {path.stem, path.parent.name}]
    assert not found, "\n".join(found)


def test_the_top_level_is_fixed():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(PACKAGES)


@pytest.mark.parametrize(
    ("check", "source", "found"),
    [
        (long_modules, "x = 1\n" * 301, ["301 lines"]),
        (long_modules, "x = 1\n" * 300, []),
        (long_functions, "def f():\n" + "    x = 1\n" * 40, ["f (41 lines)"]),
        (long_functions, "def f():\n" + "    x = 1\n" * 39, []),
        (long_functions, 'def f():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * 39, []),
        (crowded_functions, "class A:\n    async def f(self, a, b, c, d, e, f, *, g): ...", ["f (7 parameters)"]),
        (crowded_functions, "class A:\n    def f(self, a, b, c, d, e, *rest, g, **more): ...", []),
        (crowded_functions, "@app.command()\ndef f(a, b, c, d, e, f, g): ...", []),
        (bare_imports, "import os, model", ["line 1: import model"]),
        (bare_imports, "import model.scoring as scoring\nfrom model.scoring import agatston", []),
    ],
)
def test_the_checks_find_what_they_look_for(check, source, found):
    assert check(source) == found
