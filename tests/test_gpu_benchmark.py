"""The script that a lent GPU runs works at the first try: its checks run on the CPU here."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def gpu() -> Any:
    spec = spec_from_file_location("gpu", Path(__file__).parents[1] / "benchmarks" / "gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    import sys

    sys.modules["gpu"] = module  # where its dataclass looks for its types
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu"]


def test_every_check_of_the_gpu_holds_on_the_cpu_at_toy_size(gpu: ModuleType) -> None:
    rows = gpu.table("cpu", gpu.TOY)
    assert [name for name, _, _ in rows] == list(gpu.ROWS)
    assert [row for row in rows if not row[2]] == []


def test_a_row_that_fails_does_not_end_the_others(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_device: str, _size: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(gpu, "ROWS", {"a": broken, "b": lambda _device, _size: ("1 s", True)})
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--toy"]) == 1
    printed = capsys.readouterr().out
    assert "| a | RuntimeError: no such kernel | NO |" in printed
    assert "| b | 1 s | yes |" in printed
