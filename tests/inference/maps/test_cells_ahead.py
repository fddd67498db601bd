"""A map computed while torch is imported is the map of the same pixels by the same network, or none."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.cli.main import main
from crack_lightning.inference.maps import cells_ahead, crack_map
from crack_lightning.inference.maps.cells_ahead import CellsAhead, MapRecipe
from crack_lightning.model.weights.checkpoints import save_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Predict = Callable[..., dict[str, bytes]]

pytestmark = pytest.mark.usefixtures("openvino")


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> list[MapRecipe]:
    """The recipes of the maps that were computed ahead; every photo counts as large."""
    begun: list[MapRecipe] = []
    real = CellsAhead.__init__

    def begin(self: CellsAhead, photo: Path, recipe: MapRecipe) -> None:
        begun.append(recipe)
        real(self, photo, recipe)

    monkeypatch.setattr(CellsAhead, "__init__", begin)
    monkeypatch.setattr(cells_ahead, "_LEAST_PIXELS", 1)
    return begun


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (150, 210, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wall.png")
    return tmp_path / "wall.png"


@pytest.fixture
def predict(tmp_path: Path, photo: Path, build_classifier: Callable[..., Any]) -> Predict:
    """Map the photo; return the files of the run by name."""
    network = build_classifier(name="resnet18", head="local", image_size=64, temperature=1.0, threshold=0.5)
    save_model(network.eval(), tmp_path / "model.ckpt")

    def run(*settings: str, code: int = 0) -> dict[str, bytes]:
        own = [f"outputs={tmp_path / 'out'}", "progress=false", "trainer.threads=1", "engine=openvino"]
        before = set((tmp_path / "out").glob("*/*"))
        given = [str(tmp_path / "model.ckpt"), str(photo), "map=true"]
        assert main(["predict", *given, *own, *settings]) == code
        [folder] = set((tmp_path / "out").glob("*/*")) - before
        names = ("predictions.csv", "tiles.csv", "maps/wall.png.map.png", "maps/wall.png.overlay.jpg")
        return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}

    return run


def test_the_second_run_maps_ahead_and_writes_the_same_files(
    predict: Predict, recipes: list[MapRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predict()
    assert (recipes, len(first)) == ([], 4)
    monkeypatch.setattr(crack_map, "tiled_cell_map", lambda *_, **__: pytest.fail("mapped again"))
    assert predict() == first
    assert len(recipes) == 1


@pytest.mark.parametrize("changed", ["reach_px", "scale", "precision"])
def test_a_map_by_another_recipe_is_computed_again_and_its_recipe_replaced(
    changed: str, predict: Predict, recipes: list[MapRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predict()
    values: dict[str, Any] = {"reach_px": 64, "scale": 0.5, "precision": "bf16"}
    stored = cells_ahead._stored

    def wrong(*given: Any) -> MapRecipe | None:
        recipe = stored(*given)
        return recipe and replace(recipe, **{changed: values[changed]})

    with monkeypatch.context() as patch:
        patch.setattr(cells_ahead, "_stored", wrong)
        assert predict() == first
    assert predict() == first
    assert recipes[0] != recipes[1]


def test_other_settings_and_other_weights_have_recipes_of_their_own(
    predict: Predict, recipes: list[MapRecipe], tmp_path: Path
) -> None:
    predict()
    predict("scale=0.5")
    (tmp_path / "model.ckpt").write_bytes((tmp_path / "model.ckpt").read_bytes())  # newer
    predict()
    assert recipes == []


def test_other_pixels_and_a_photo_that_cannot_be_read_give_no_map(
    predict: Predict, recipes: list[MapRecipe], photo: Path
) -> None:
    predict()
    predict()
    [recipe] = recipes
    pixels = np.asarray(Image.open(photo))
    ahead = CellsAhead(photo, recipe)
    assert ahead.take(recipe, pixels) is not None
    assert ahead.take(recipe, pixels[::-1]) is None
    assert ahead.take(replace(recipe, threads=2), pixels) is None
    ahead.close()
    photo.write_bytes(photo.read_bytes()[:300])
    for wrong in (recipe, replace(recipe, network="nowhere.xml"), replace(recipe, scale=1e-3)):
        ahead = CellsAhead(photo, wrong)
        assert ahead.take(wrong, pixels) is None
        ahead.close()
    written = predict(code=2)
    assert b"wall.png" in written["predictions.csv"]
    assert len(recipes) == 6


@pytest.mark.parametrize("settings", [["engine=eager"], ["map=false"]])
def test_without_a_map_by_openvino_nothing_is_stored(
    settings: list[str], predict: Predict, recipes: list[MapRecipe]
) -> None:
    predict(*settings)
    predict(*settings)
    assert recipes == []


def test_what_runs_ahead_imports_no_torch() -> None:
    code = "import crack_lightning.inference.maps.cells_ahead, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
