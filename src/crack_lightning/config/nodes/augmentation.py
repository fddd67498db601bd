"""The node ``augmentation``: random transforms of training tiles; every default is "off"."""

from __future__ import annotations

from dataclasses import dataclass, field

from crack_lightning.config.validators import require_range
from crack_lightning.runtime.errors import ConfigError

_SHARES = (
    "translate",
    "brightness",
    "contrast",
    "saturation",
    "noise_std",
    "blur_probability",
    "jpeg_probability",
    "shadow_probability",
    "erasing_probability",
    "mix_probability",
)
# Key: the lowest and the highest value that a pair may hold.
_PAIRS = {
    "scale": (0.1, 10.0),
    "blur_sigma_px": (0.1, 20.0),
    "jpeg_quality": (1.0, 100.0),
    "shadow_depth": (0.0, 1.0),
    "erasing_area": (0.0, 1.0),
}


@dataclass
class AugmentationConfig:
    """Keys of ``conf/augmentation``; see ``data.augmentation.Augmentation`` for their meaning.

    ``paint`` is the share of intact training tiles that are painted with cracks, new in every epoch; as many
    others get distractors alone (``data.painted_batches.paint_batch``), so it is at most 0.5.

    ``mixup_alpha``, ``cutmix_alpha`` and ``mix_probability`` belong to ``data.mixing.mix_batch``.
    """

    flip: bool = False
    quarter_turns: bool = False
    rotation_deg: float = 0.0
    scale: list[float] = field(default_factory=lambda: [1.0, 1.0])
    translate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur_probability: float = 0.0
    blur_sigma_px: list[float] = field(default_factory=lambda: [0.4, 1.2])
    noise_std: float = 0.0
    jpeg_probability: float = 0.0
    jpeg_quality: list[float] = field(default_factory=lambda: [50.0, 95.0])
    shadow_probability: float = 0.0
    shadow_depth: list[float] = field(default_factory=lambda: [0.2, 0.5])
    erasing_probability: float = 0.0
    erasing_area: list[float] = field(default_factory=lambda: [0.02, 0.08])
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    mix_probability: float = 1.0
    paint: float = 0.0

    def __post_init__(self) -> None:
        for key in _SHARES:
            require_range(f"augmentation.{key}", getattr(self, key), low=0, high=1)
        require_range("augmentation.rotation_deg", self.rotation_deg, low=0, high=180)
        for key in ("hue", "paint"):
            require_range(f"augmentation.{key}", getattr(self, key), low=0, high=0.5)
        for key in ("mixup_alpha", "cutmix_alpha"):
            require_range(f"augmentation.{key}", getattr(self, key), low=0, high=100)
        for key, (low, high) in _PAIRS.items():
            _check_pair(key, getattr(self, key), low, high)


def _check_pair(key: str, value: list[float], low: float, high: float) -> None:
    if len(value) != 2 or not low <= value[0] <= value[1] <= high:
        raise ConfigError(
            f"augmentation.{key}: expected [low, high], two ascending numbers between {low:g} and {high:g}, "
            f"got {list(value)}."
        )
