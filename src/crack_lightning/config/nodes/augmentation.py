"""The node ``augmentation``: random transforms of training tiles; every default is "off"."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.runtime.settings import check_settings, setting


@dataclass
class AugmentationConfig:
    """Random transforms of training tiles, new in every epoch."""

    flip: bool = setting(False, "Mirror horizontally and vertically, each with probability 0.5.")
    quarter_turns: bool = setting(
        False, "Rotate by 0, 90, 180 or 270 degrees (0 or 180 where tiles are not square)."
    )
    rotation_deg: float = setting(0.0, "Largest rotation in either direction, degrees.", low=0, high=180)
    scale: list[float] = setting(
        [1.0, 1.0], "Magnification; above 1 crops, below 1 pads by reflection.", low=0.1, high=10, pair=True
    )
    translate: float = setting(
        0.0, "Largest shift in either direction, share of the tile; pads by reflection.", low=0, high=1
    )
    brightness: float = setting(0.0, "Multiply by `1 ± brightness`.", low=0, high=1)
    contrast: float = setting(
        0.0, "Multiply the distance to the tile's mean luma by `1 ± contrast`.", low=0, high=1
    )
    saturation: float = setting(0.0, "Multiply the distance to grey by `1 ± saturation`.", low=0, high=1)
    hue: float = setting(
        0.0, "Largest rotation of the hue in either direction, share of a full turn.", low=0, high=0.5
    )
    blur_probability: float = setting(0.0, "Share of tiles that are blurred.", low=0, high=1)
    blur_sigma_px: list[float] = setting(
        [0.4, 1.2], "Standard deviation of the Gaussian blur, pixels.", low=0.1, high=20, pair=True
    )
    noise_std: float = setting(
        0.0, "Largest standard deviation of the noise, in the unit of `[0, 1]` images.", low=0, high=1
    )
    jpeg_probability: float = setting(0.0, "Share of tiles that are compressed as JPEG.", low=0, high=1)
    jpeg_quality: list[float] = setting([50.0, 95.0], "JPEG quality, rounded.", low=1, high=100, pair=True)
    shadow_probability: float = setting(0.0, "Share of tiles that get the edge of a shadow.", low=0, high=1)
    shadow_depth: list[float] = setting(
        [0.2, 0.5], "Share of light that the shadow removes.", low=0, high=1, pair=True
    )
    erasing_probability: float = setting(0.0, "Share of tiles of which a rectangle is erased.", low=0, high=1)
    erasing_area: list[float] = setting(
        [0.02, 0.08], "Area of the rectangle, share of the tile.", low=0, high=1, pair=True
    )
    mixup_alpha: float = setting(
        0.0, "Both parameters of MixUp's Beta distribution; 0 is off.", low=0, high=100
    )
    cutmix_alpha: float = setting(
        0.0,
        "Both parameters of CutMix's Beta distribution; 0 is off. With MixUp on too, each batch gets one of "
        "the two, with equal probability.",
        low=0,
        high=100,
    )
    mix_probability: float = setting(1.0, "Share of batches with MixUp or CutMix.", low=0, high=1)
    paint: float = setting(
        0.0,
        "Share of intact training tiles that are painted with cracks; as many others get distractors alone.",
        low=0,
        high=0.5,
    )

    def __post_init__(self) -> None:
        check_settings(self, "augmentation")
