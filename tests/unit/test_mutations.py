"""The mutations are as the code is: `python -m tests.mutations` runs them."""

from __future__ import annotations

import ast

from tests.mutations.table import ROOT, mutations


def test_every_mutation_can_be_applied() -> None:
    """A change whose old text has gone from the code, or stands in it twice, breaks nothing."""
    assert [why for mutation in mutations() if (why := mutation.stale())] == []


def test_every_mutation_leaves_code_that_compiles() -> None:
    """Code that nobody could start fails every test, and proves nothing of the one named."""
    for mutation in mutations():
        text = (ROOT / mutation.file).read_text(encoding="utf-8")
        changed = mutation.applied(text)
        assert changed != text, mutation.name
        if mutation.file.endswith(".py"):
            compile(changed, mutation.name, "exec", dont_inherit=True)


def test_every_mutation_has_a_name_of_its_own() -> None:
    """It is chosen by it."""
    names = [mutation.name for mutation in mutations()]
    assert sorted(set(names)) == sorted(names)


def test_the_tests_that_mutations_name_exist() -> None:
    """A test that was renamed would no longer be run."""
    missing = []
    for mutation in mutations():
        file, _, test = mutation.test.partition("::")
        path = ROOT / file
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
        functions = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        if test not in functions:
            missing.append(f"{mutation.name}: {mutation.test}")
    assert missing == []
