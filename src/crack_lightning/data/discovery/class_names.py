"""Classes from the names of folders; ambiguous names raise an error with the setting to use."""

from __future__ import annotations

import re
import shlex
import unicodedata
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.runtime.files.paths import name_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CRACK, INTACT = "crack", "intact"

_COMMON_NAMES = {
    CRACK: "positive pos crack cracks cracked withcrack withcracks cd cw cp",
    INTACT: (
        "negative neg intact uncracked uncrack nocrack nocracks noncrack noncracks noncracked notcracked "
        "crackfree withoutcrack withoutcracks background normal undamaged sound ud uw up"
    ),
}
_CLASS_BY_NAME = {name: class_name for class_name, names in _COMMON_NAMES.items() for name in names.split()}


def common_class(folder: str) -> str | None:
    """Return the class that a folder's name commonly stands for, or ``None``.

    Examples:
        >>> common_class("Non-Crack"), common_class("CD"), common_class("wall")
        ('intact', 'crack', None)
    """
    return _CLASS_BY_NAME.get("".join(filter(str.isalnum, folder.casefold())))


def known_class(folder: str, known_classes: Sequence[str]) -> str | None:
    """Return the class of a model that a folder's name stands for, or ``None``.

    Examples:
        >>> known_class("Positive", ["intact", "crack"]), known_class("Spall", ["crack", "spall"])
        ('crack', 'spall')
        >>> known_class("wall", ["intact", "crack"])
    """
    spelling = {name.casefold(): name for name in known_classes}
    common = common_class(folder)
    return spelling.get(folder.casefold(), common if common in known_classes else None)


def name_classes(
    folders: Sequence[str],
    *,
    class_names: Mapping[str, str] | None,
    positive_class: str,
    known_classes: Sequence[str] = (),
) -> dict[str, str]:
    """Map class folders to classes.

    If all names stand for classes of a given model, these are the classes. A common pair of names becomes
    ``crack`` and ``intact``. Otherwise classes are named like the folders; if there are two, one must be
    positive.

    Args:
        folders: Names of the folders that hold images.
        class_names: ``data.class_names``, class by folder; ``None`` to derive classes from the names.
        positive_class: The class that means "crack".
        known_classes: The classes of the model that is to be tested on the folders, if there is one.

    Returns:
        Class by folder, in the order of ``folders``.

    Raises:
        ConfigError: If ``class_names`` does not fit the folders, or neither of its two classes is positive.
        DataError: If it is ambiguous which of two folders is the positive class.
    """
    if class_names is not None:
        class_names = _match_disk_names(folders, class_names)
        return _check_class_names(folders, class_names, positive_class, of_model=bool(known_classes))
    of_model = {folder: name for folder in folders if (name := known_class(folder, known_classes))}
    if len(of_model) == len(folders):
        return of_model
    spelled = _unify_spelling(folders, positive_class)
    classes = set(spelled.values())
    if len(classes) != 2:
        return spelled
    common = {folder: name for folder in folders if (name := common_class(folder)) is not None}
    if len(common) == len(folders) and set(common.values()) == {CRACK, INTACT} >= {positive_class}:
        return common
    if positive_class not in classes:
        first, second = sorted(classes)
        advised = class_names_override({first: positive_class, second: INTACT})
        raise DataError(
            f"data.root: it is not certain which of the folders '{first}' and '{second}' "
            f"means '{positive_class}'. Set {advised}, or the other way round."
        )
    return spelled


def names_class(
    folder: str,
    *,
    class_names: Mapping[str, str] | None,
    positive_class: str,
    known_classes: Sequence[str] = (),
) -> bool:
    """Return whether a folder's name stands for a class; arguments as for ``name_classes``."""
    if class_names is not None:
        return name_key(folder) in map(name_key, class_names)
    named = common_class(folder) is not None or name_key(folder) == name_key(positive_class)
    return named or known_class(folder, known_classes) is not None


def class_names_override(classes: Mapping[str, str]) -> str:
    """Return the shell argument that gives each folder its class.

    Examples:
        >>> print(class_names_override({"No Crack": "intact", "2: wide": "crack"}))
        'data.class_names={No Crack: intact, "2: wide": crack}'
    """
    pairs = ", ".join(f"{_quote_folder(folder)}: {name}" for folder, name in classes.items())
    return shlex.quote(f"data.class_names={{{pairs}}}")


def _quote_folder(folder: str) -> str:
    if not re.search(r"""[:'"]|^\s|\s$""", folder):
        return folder
    return f"'{folder}'" if '"' in folder else f'"{folder}"'


def order_classes(classes: Sequence[str], positive_class: str) -> tuple[tuple[str, ...], str | None]:
    """Return sorted classes (of a pair the positive one last), and the positive class or ``None``."""
    names = sorted(set(classes))
    if len(names) == 2:
        names.sort(key=lambda name: name == positive_class)
    return tuple(names), positive_class if positive_class in names else None


def _unify_spelling(folders: Sequence[str], positive_class: str) -> dict[str, str]:
    spelling = {name_key(positive_class): positive_class}
    return {folder: spelling.setdefault(name_key(folder), folder) for folder in folders}


def _match_disk_names(folders: Sequence[str], class_names: Mapping[str, str]) -> dict[str, str]:
    """Match typed folder names with those on disk, by Unicode normal form, else without case.

    YAML turns a folder ``true`` into ``True``.
    """
    exact = {_composed(folder): name for folder, name in class_names.items()}
    alike = {name_key(folder): name for folder, name in class_names.items()}
    existing = {
        folder: exact.get(_composed(folder), alike.get(name_key(folder), ""))
        for folder in folders
        if name_key(folder) in alike
    }
    matched_keys = set(map(name_key, existing))
    return existing | {key: name for key, name in class_names.items() if name_key(key) not in matched_keys}


def _composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC); archives from macOS have decomposed names."""
    return unicodedata.normalize("NFC", name)


def _check_class_names(
    folders: Sequence[str], class_names: Mapping[str, str], positive_class: str, *, of_model: bool
) -> dict[str, str]:
    listed = ", ".join(f"'{folder}'" for folder in folders)
    for folder in class_names:
        if folder not in folders and not of_model:
            raise ConfigError(f"data.class_names: no folder '{folder}' with images; expected {listed}.")
    for folder in folders:
        if folder not in class_names:
            raise ConfigError(
                f"data.class_names: the folder '{folder}' is missing; name a class for each of {listed}."
            )
    classes_of = {folder: class_names[folder] for folder in folders}
    classes = sorted(set(classes_of.values()))
    if len(classes) == 2 and positive_class not in classes and not of_model:
        raise ConfigError(
            f"data.positive_class: '{positive_class}' is neither '{classes[0]}' nor '{classes[1]}'; "
            "set it to the one that means a crack."
        )
    return classes_of
