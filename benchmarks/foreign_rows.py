"""Which foreign pictures a model marks: drawn, scikit-image's, and of another camera."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage.data
from foreign import foreign_pictures
from foreign_chosen_on import CHOOSING
from foreign_kept_back import TESTING
from foreign_kept_back_anew import ANEW

from crack_lightning import load
from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.io.formats import is_picture_name
from crack_lightning.evaluation.curves import auroc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning import Predictor
    from crack_lightning.inference.inputs import Picture

FOREIGN_EACH, FOREIGN_PX, UAV75_PX = 20, 227, 256


def row_f(folder: Path, uav75: Path) -> str:
    """Tell how many foreign pictures a run's model marks: drawn, scikit-image's, and of another camera.

    Args:
        folder: A finished run on drawn tiles.
        uav75: The folder of that set.
    """
    model = load(folder / "checkpoints" / "best.ckpt")
    own = own_novelty(folder)
    told = [f"own test tiles {np.mean(own > 1):.2%} of {len(own)}"]
    for name, kinds in (("chosen on", CHOOSING), ("kept back", TESTING), ("kept back anew", ANEW)):
        drawn: dict[str, list[NDArray[np.uint8]]] = {}
        for kind, picture in foreign_pictures(kinds, each=FOREIGN_EACH, size_px=FOREIGN_PX):
            drawn.setdefault(kind, []).append(picture)
        told.append(f"drawn, {name}: {_marked(model, drawn, own, by='share')}")
    folder_of_photos = Path(skimage.data.__file__).parent
    photos = {path.name: [path] for path in sorted(folder_of_photos.iterdir()) if is_picture_name(path)}
    told.append(f"scikit-image: {_marked(model, photos, own, by='AUROC')}")
    tiles = {path.stem: _cut(decode_image(path)) for path in sorted((uav75 / "images").iterdir())}
    told.append(f"uav75: {_marked(model, tiles, own, by='AUROC')}")
    return "; ".join(told)


def own_novelty(folder: Path) -> NDArray[np.float64]:
    """Return the novelty of a run's test tiles, float64 ``(N,)``."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return np.array([float(row["novelty"]) for row in csv.DictReader(file)])


def _cut(photo: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    height, width = photo.shape[:2]
    return [
        photo[top : top + UAV75_PX, left : left + UAV75_PX]
        for top in range(0, height - UAV75_PX + 1, UAV75_PX)
        for left in range(0, width - UAV75_PX + 1, UAV75_PX)
    ]


def _marked(
    model: Predictor, pictures: Mapping[str, Sequence[Picture]], own: NDArray[np.float64], *, by: str
) -> str:
    """Tell the share marked and the AUROC against a model's own tiles, and one of them by picture or kind."""
    answers = {name: model.predict(parts) for name, parts in pictures.items()}
    unread = [name for name, answer in answers.items() if any(answer.problems)]
    found = {name: answer.novelty for name, answer in answers.items() if name not in unread}
    each = {
        name: float(np.mean(novelty > 1)) if by == "share" else _against(own, novelty)
        for name, novelty in found.items()
    }
    every = np.concatenate(list(found.values()))
    named = ", ".join(f"{name} {value:.3f}" for name, value in sorted(each.items(), key=lambda item: item[1]))
    likewise = np.mean(every > np.quantile(own, 0.99))
    pooled = (
        f"{np.mean(every > 1):.2%} of {len(every)} marked, {likewise:.2%} where 1 % of own test tiles are, "
        f"AUROC {_against(own, every):.4f}"
    )
    return f"{pooled} ({by}: {named})" + f", not read: {', '.join(unread)}" * bool(unread)


def _against(own: NDArray[np.float64], foreign: NDArray[np.float32]) -> float:
    area = auroc(np.concatenate([own, foreign]), np.repeat([False, True], [len(own), len(foreign)]))
    assert area is not None, "there are both"
    return area
