"""The user's own modules are imported first, and what is wrong with them is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crack_lightning.cli.main import main
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.plugins import import_plugins

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = {
    "syntax": ("def (", r"\(SyntaxError: .*line 1\)\); fix the module"),
    "raises": ("1 / 0", r"\(ZeroDivisionError: .*bad_raises\.py, line 1\); fix"),
    "leaves": ("import sys\nsys.exit(0)", r"\(SystemExit: 0, in .*, line 2\); fix"),
    "lacks": ("import nosuchmodule_at_all", r"\(ModuleNotFoundError: No module named 'nosuchmodule_at_all'"),
    "binary": ("\x00", r"\((SyntaxError|ValueError): "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_module_that_does_not_run_is_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    content, said = BROKEN[kind]
    (tmp_path / f"bad_{kind}.py").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"plugins: cannot import 'bad_{kind}' {said}"):
        import_plugins([f"bad_{kind}"])


@pytest.mark.parametrize("name", ["", ".x", "a..b", "a/b", "a b", "../x", "3", "a.py:f", "x."])
def test_a_name_of_no_module_is_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError, match=r"plugins: expected names of modules, .* got '"):
        import_plugins([name])


def test_a_module_that_is_not_there_is_sought_on_the_path() -> None:
    for name in ("nosuchplugin_a", "nosuchplugin_a.b"):
        with pytest.raises(ConfigError, match=rf"cannot import '{name}' .*; is it on PYTHONPATH\?"):
            import_plugins([name])


def test_plugins_are_imported_before_anything_else_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    text = "from pathlib import Path\nPath('it ran').touch()\n"
    (tmp_path / "first_of_all.py").write_text(text, encoding="utf-8")
    wrong = ["plugins=[first_of_all]", "data=image_folder", "data.root=nowhere", "trainer.threads=0"]
    assert main(["train", *wrong]) == 2
    assert "trainer.threads: expected a number at least 1, got 0" in capsys.readouterr().err
    assert (tmp_path / "it ran").exists()
