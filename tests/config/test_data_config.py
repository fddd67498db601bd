"""Rules of the data of a run: folds, masks, mixtures, and what is painted on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from omegaconf import OmegaConf

from crack_lightning.config import AuditConfig, TrainConfig, parse
from crack_lightning.config.nodes.data import DataConfig, data_config
from crack_lightning.config.nodes.split import SplitConfig
from crack_lightning.config.renamed_keys import with_new_names
from crack_lightning.data.io.masks import MaskRules
from crack_lightning.runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (SplitConfig(fold=1), r"data\.split\.fold: not read without data\.split\.folds"),
        (SplitConfig(folds=3, file="splits.csv"), r"data\.split\.folds: .* data\.split\.file does not read"),
        (SplitConfig(seed=3, file="splits.csv"), r"data\.split\.seed: .* data\.split\.file does not read"),
    ],
)
def test_settings_of_folds_that_nothing_reads_are_named(split: SplitConfig, said: str) -> None:
    [problem] = TrainConfig(data=DataConfig(split=split)).problems()
    assert re.match(said, problem)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"folds": 5, "fold": 5}, r"data\.split\.fold: expected a number between 0 and 4, got 5"),
        ({"folds": 1}, r"data\.split\.folds: .* got 1"),
        ({"strategy": "blind"}, r"data\.split\.strategy: .* got 'blind'"),
    ],
)
def test_folds_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SplitConfig(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mask_width": "thin"}, r"data\.masked\.mask_width: .* got 'thin'"),
        ({"crack_values": [65536]}, r"data\.masked\.crack_values: .* got 65536"),
        ({"exif": "maybe"}, r"data\.masked\.exif: .* got 'maybe'"),
        ({"hard_negatives": [-1]}, r"data\.masked\.hard_negatives: .* got -1"),
        ({"least_crack_px": 0}, r"data\.masked\.least_crack_px: .* got 0"),
    ],
)
def test_rules_of_masks_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MaskRules(**wrong)


def problems(**data: Any) -> list[str]:
    """What is wrong with the settings of ``data``, a sentence each."""
    try:
        parse(OmegaConf.create({"data": data}), TrainConfig)
    except ConfigError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("data", "readers"),
    [
        ({"source": "synthetic", "root": "x"}, "image_folder or data=masked_photos or data=metu or data=sdn"),
        ({"source": "sdnet2018", "root": "x", "group_pattern": "(a)"}, "image_folder or data=masked_photos"),
        ({"source": "metu", "class_names": {"a": "crack"}}, "image_folder, or"),
        ({"source": "metu", "seed": 3}, "painted or data=synthetic, or"),
        ({"source": "synthetic", "masked": {"tile_px": 64}}, "masked_photos, or"),
        ({"source": "synthetic", "mix": "equal"}, "mixed, or"),
    ],
)
def test_a_key_of_another_source_is_refused_with_the_sources_that_read_it(
    data: dict[str, Any], readers: str
) -> None:
    [problem] = problems(**data)
    assert problem.startswith(
        f"data.{list(data)[-1]}: data={data['source']} does not read it; use data={readers}"
    )


@pytest.mark.parametrize("key", ["drawn", "sources.a.drawn"])
def test_a_key_of_an_earlier_version_is_refused_with_its_new_name(key: str) -> None:
    drawn = {"source": "synthetic", "drawn": {"num_tiles": 80}}
    data = drawn if key == "drawn" else {"source": "mixed", "sources": {"a": drawn}}
    [problem] = problems(**data)
    new = key.replace("drawn", "synthetic")
    assert problem == f"data.{key}: no such key any more; it is data.{new} now."


def test_a_key_of_another_source_that_is_at_its_default_changes_nothing() -> None:
    plain = {"source": "metu", "mix": "natural", "seed": 0, "synthetic": {"num_tiles": 4000}, "sources": None}
    assert problems(**plain) == []


def test_settings_of_masks_are_in_the_words_of_yaml() -> None:
    assert MaskRules(mask_width="True").mask_width == "true"


def test_millimetres_are_for_known_widths() -> None:
    masks_with_widths = MaskRules(mask_width="true")
    assert not TrainConfig(data=DataConfig(source="synthetic", mm_per_px=0.1)).problems()
    assert not data_config("masked_photos", masked=masks_with_widths, mm_per_px=0.1).problems()
    [problem] = data_config("masked_photos", mm_per_px=0.1).problems()
    assert problem.startswith("data.mm_per_px: no width is known where masks are lines; set data.masked.mask")
    [problem] = data_config("metu", mm_per_px=0.1).problems()
    assert problem.startswith("data.mm_per_px: data=metu does not read it; use data=masked_photos or")
    [problem] = AuditConfig(data=data_config(mm_per_px=0.1)).problems()
    assert problem == "data.mm_per_px: audit does not read it; leave it out."
    with pytest.raises(ConfigError, match=r"data\.mm_per_px: .* got -0\.1"):
        DataConfig(mm_per_px=-0.1)
    with pytest.raises(ConfigError, match=r"data\.sources\.drawn\.mm_per_px: no such key"):
        mixed(sources={"drawn": {"source": "synthetic", "mm_per_px": 0.1}})


TWO: dict[str, Any] = {"metu": {"source": "metu", "root": "tiles"}, "drawn": {"source": "synthetic"}}


def mixed(**changes: Any) -> list[str]:
    return TrainConfig(data=data_config(**{"source": "mixed", "sources": TWO} | changes)).problems()


def test_parts_of_a_mixture_are_settings_of_their_own() -> None:
    assert mixed() == []
    parts = data_config("mixed", sources=TWO | {"m": {"source": "masked_photos", "masked": {"tile_px": 64}}})
    assert parts.parts()["metu"].root == "tiles"
    assert parts.parts()["m"].masked.tile_px == 64


def test_a_folder_of_a_mixture_may_be_named_by_a_number() -> None:
    data = data_config("mixed", sources={"a": {"source": "image_folder", "root": 2024}})
    assert data.parts()["a"].root == "2024"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sources": None}, r"data\.sources: data=mixed needs some"),
        ({"test_sources": ["mete"]}, r"data\.test_sources: expected some of metu, drawn, got 'mete'"),
        (
            {"sources": TWO | {"d": {"source": "synthetic", "root": "x"}}},
            r"data\.sources\.d\.root: data=synthetic",
        ),
        (
            {"test_sources": ["metu"], "split": SplitConfig(folds=3)},
            r"data\.split\.folds: train_sources and test_sources define",
        ),
        (
            {"train_sources": ["metu"], "split": SplitConfig(file="splits.csv")},
            r"data\.split\.file: train_sources and test_sources define",
        ),
    ],
)
def test_contradictions_of_a_mixture_are_named(changes: dict[str, Any], said: str) -> None:
    [problem] = mixed(**changes)
    assert re.match(said, problem)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"source": "metu", "rot": "x"}, r"data\.sources\.a\.rot: no such key; did you mean root\?"),
        ({"root": "x"}, r"data\.sources\.a: expected source and its keys"),
        ("metu", r"data\.sources: expected \{name: \{source: …\}, …\}, got \{'a': 'metu'\}"),
        ({"source": "metuu"}, r"data\.sources\.a\.source: .* got 'metuu'"),
        (
            {"source": "masked_photos", "masked": {"tile": 3}},
            r"data\.sources\.a\.masked\.tile: no such key; did you mean masked\.tile_px",
        ),
        ({"source": "synthetic", "synthetic": 3}, r"data\.sources\.a\.synthetic: expected keys and .* got 3"),
        ({"source": "synthetic", "seed": "x"}, r"data\.sources\.a\.seed: expected a whole number, got 'x'"),
        (
            {"source": "synthetic", "synthetic": {"num_tiles": 3}},
            r"data\.sources\.a\.synthetic\.num_tiles: expected a number at least 40, got 3",
        ),
    ],
)
def test_a_wrong_part_of_a_mixture_is_named(node: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        mixed(sources={"a": node})


PAINTED = {"source": "painted", "base": "real"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (data_config("painted", base="metu", root="tiles"), None),
        (data_config("painted"), "data.base: expected one of image_folder, masked_photos, metu"),
        (data_config("painted", base="mixed"), "data.base: expected one of .* got 'mixed'"),
        (data_config("mixed", sources={"real": {"source": "metu"}, "p": PAINTED}), None),
        (data_config("mixed", sources={"p": PAINTED}), "data.sources: painted tiles need another"),
        (
            data_config("mixed", sources={"a": {"source": "metu"}, "p": PAINTED}),
            "data.sources.p.base: expected one of a to paint on, got 'real'",
        ),
        (
            data_config("mixed", sources={"real": {"source": "metu"}, "p": PAINTED | {"root": "x"}}),
            "data.sources.p.root: data=painted does not read it",
        ),
    ],
)
def test_what_is_painted_on_must_be_there(data: DataConfig, said: str | None) -> None:
    problems = data.problems()
    assert [bool(re.match(said or "", problem)) for problem in problems] == ([True] if said else [])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"source": "painted", "base": "synthetic", "root": "x"}, "data.root: data=painted does not read it"),
        ({"source": "metu", "base": "metu"}, "data.base: data=metu does not read it; use data=painted"),
        ({"source": "mixed", "root": "x", "sources": TWO}, "data.root: data=mixed does not read it"),
        (
            {"source": "synthetic", "sources": TWO},
            "data.sources: data=synthetic does not read it; use data=mixed",
        ),
        ({"source": "metuu"}, "data.source: expected one of image_folder, .* got 'metuu'"),
    ],
)
def test_what_a_source_does_not_read_is_named(data: dict[str, Any], said: str) -> None:
    [problem] = problems(**data)
    assert re.match(said, problem)


def test_the_keys_of_what_is_painted_on_are_read(tmp_path: object) -> None:
    config = parse(
        OmegaConf.create({"data": {"source": "painted", "base": "metu", "root": "t"}}), TrainConfig
    )
    assert vars(config.data)["root"] == "t"


OLD = """
source: metu
seed: 0
base: null
root: tiles
archive: null
download: false
class_names: null
positive_class: crack
group_pattern: null
batch_size: 8
num_workers: null
timeout_s: 120
on_unreadable: error
mm_per_px: null
exclude: null
sampler: shuffled
sources: null
mix: natural
train_sources: []
test_sources: []
split: {strategy: grouped, seed: 0, fractions: [0.7, 0.15, 0.15], tolerance: 0.02, folds: null, fold: 0,
        recover_photos: true, file: null}
drawn: {num_tiles: 4000, tile_px: 96, photo_tiles: 2}
masked: {images: [images], masks: [masks], mask_suffix: '', crack_values: [255], crack_from: null,
         hard_negatives: [], tile_px: 256, stride_px: null, least_crack_px: 60, mask_width: line, exif: auto}
painted: {num_tiles: 12000}
"""


@pytest.mark.parametrize("drawn", [4000, 80])
def test_a_run_of_an_earlier_version_keeps_its_data(drawn: int) -> None:
    written = OmegaConf.to_container(OmegaConf.create(OLD.replace("4000", str(drawn))))
    assert isinstance(written, dict)
    if drawn == 80:
        written |= {"source": "synthetic", "root": None}
    settings = with_new_names({"data": written, "seed": 3})
    config = parse(OmegaConf.create(settings), TrainConfig)
    data: Any = config.data
    assert (config.seed, data.batch_size) == (3, 8)
    assert data.synthetic.num_tiles == 80 if drawn == 80 else data.root == "tiles"


def test_sources_of_a_mixture_of_an_earlier_version_keep_their_keys() -> None:
    sources = {"a": {"source": "synthetic", "drawn": {"num_tiles": 80}}}
    settings = with_new_names({"data": {"source": "mixed", "sources": sources}})
    data: Any = parse(OmegaConf.create(settings), TrainConfig).data
    assert data.parts()["a"].synthetic.num_tiles == 80
