"""What the layer and the function zips must hold, against what the code imports."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from local.operate.templates import ROOT, read_template

RUNTIME_HAS = {"boto3", "botocore", "s3transfer", "dateutil", "urllib3", "jmespath", "six"}
IMPORTED_AS = {"pyyaml": "yaml", "aws_lambda_powertools": "aws_lambda_powertools"}
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


def imports(folder: Path) -> Iterator[tuple[Path, str]]:
    """Top-level packages imported at run time below a folder; type-only imports left out."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        type_only = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if id(node) in type_only:
                continue
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.module.partition(".")[0]


def required(file: Path) -> set[str]:
    """Import names of the packages in a requirements file."""
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", file.read_text("utf-8"), re.MULTILINE)
    normal = (name.lower().replace("-", "_") for name in names)
    return {IMPORTED_AS.get(name, name) for name in normal}


def foreign(folder: Path) -> set[str]:
    """Imported packages that neither Python nor this repository has."""
    own = set(sys.stdlib_module_names) | {"screener", "functions"}
    return {name for _, name in imports(folder)} - own


LAYER = required(ROOT / "core" / "requirements.txt") | RUNTIME_HAS


def test_the_layer_holds_what_the_shared_package_imports() -> None:
    # `screener.media` is for the two functions that carry PyAV themselves.
    assert foreign(ROOT / "core" / "screener") <= LAYER | {"av"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_finds_what_it_imports_in_its_zip_or_the_layer(function: str) -> None:
    folder = ROOT / "functions" / function
    assert foreign(folder) <= LAYER | required(folder / "requirements.txt")


def test_only_functions_that_carry_pyav_import_what_needs_it() -> None:
    using = set()
    for path, name in imports(ROOT / "core" / "screener"):
        if name == "av":
            using.add(path.parent)
    assert using <= {ROOT / "core" / "screener" / "media"}
    for function in FUNCTIONS:
        folder = ROOT / "functions" / function
        source = "\n".join(path.read_text("utf-8") for path in folder.rglob("*.py"))
        if re.search(r"\bscreener\.media\b|from screener import .*\bmedia\b", source):
            assert "av" in required(folder / "requirements.txt"), function


@pytest.mark.parametrize(
    "file",
    [ROOT / "core" / "requirements.txt", *sorted((ROOT / "functions").glob("*/requirements.txt"))],
    ids=lambda path: path.parent.name,
)
def test_lambda_gets_the_versions_that_the_laptop_tests(file: Path) -> None:
    pin = re.compile(r"^([A-Za-z0-9_.-]+==[^ ]+) ", re.MULTILINE)
    laptop = set(pin.findall((ROOT / "requirements" / "laptop.lock").read_text("utf-8")))
    assert set(pin.findall(file.read_text("utf-8"))) <= laptop


def test_the_runtime_has_a_libc_that_the_locked_wheels_load_on() -> None:
    template = read_template(ROOT / "template.yaml")
    # Amazon Linux 2023, glibc 2.34, from 3.12 on; see docs/adr/0006.
    runtime = template["Globals"]["Function"]["Runtime"]
    assert int(runtime.rpartition(".")[2]) >= 12
    assert template["Resources"]["ScreenerLayer"]["Properties"]["CompatibleRuntimes"] == [runtime]
    makefile = (ROOT / "functions" / "Makefile").read_text("utf-8")
    assert f"TARGET_PYTHON ?= {runtime.removeprefix('python')}" in makefile
    assert "aarch64-manylinux_2_28" in makefile


def test_data_files_of_the_shared_package_are_not_forgotten() -> None:
    # The layer copies the folder; an editable install reads it in place. Neither may need a build.
    presets = list((ROOT / "core" / "screener" / "policy" / "presets").glob("*.yaml"))
    assert presets
    assert all(yaml.safe_load(path.read_text("utf-8")) for path in presets)
