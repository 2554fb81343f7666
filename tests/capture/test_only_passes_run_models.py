"""Only `capture/passes.py` calls the user's model or autograd; training code of the recipes runs models of its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid

SOURCE = Path(pellucid.__file__).parent
MODELS = {"model", "module", "net", "network"}
DERIVATIVES = {"backward", "grad", "vjp", "jvp", "jacrev", "jacfwd", "jacobian", "hessian", "functional_call"}


def runs(text: str) -> Iterator[tuple[int, str]]:
    """Calls of something that is named like a model, calls of `.forward`, calls of derivatives."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = getattr(called, "id", getattr(called, "attr", ""))
        plain = isinstance(called, ast.Name) and name in MODELS | DERIVATIVES
        method = isinstance(called, ast.Attribute) and name in MODELS | DERIVATIVES | {"forward", "__call__"}
        handed = isinstance(called, ast.Call) and getattr(called.func, "attr", "") in {"eval", "train", "get_submodule"}
        if plain or method or handed:
            yield node.lineno, ast.unparse(called)


def test_only_the_engine_runs_models_and_derivatives() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line} {what}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path != SOURCE / "capture" / "passes.py" and "recipes" not in path.parts
        for line, what in runs(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_engine_does_run_models_and_derivatives() -> None:
    found = {what for _, what in runs((SOURCE / "capture" / "passes.py").read_text(encoding="utf-8"))}
    assert {"module", "torch.autograd.grad"} <= found


WAYS = ("model(x)", "self.module(x)", "y.backward()", "autograd.grad(y, x)", "load(m).module.forward(x)", "m.eval()(x)")


@pytest.mark.parametrize("line", WAYS)
def test_each_way_to_run_a_model_would_be_found(line: str) -> None:
    assert list(runs(line))
