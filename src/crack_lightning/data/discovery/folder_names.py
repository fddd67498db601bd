"""Meanings of names of files and folders: splits, folds, masks, files of operating systems."""

from __future__ import annotations

import re

from crack_lightning.runtime.files.paths import name_key

_SPLIT_WORDS = {
    "train": "train training trn",
    "val": "val valid validation dev development",
    "test": "test testing tst holdout",
}
_SPLIT_BY_WORD = {word: split for split, words in _SPLIT_WORDS.items() for word in words.split()}
_OF_A_SET = re.compile(r"((data)?set|data|split|im(g|age)s?|tiles?|photos?|pictures?|patches)$")
_FOLD = re.compile(r"(k?fold|cv|split|partition)\d+")
_MASKS = re.compile(r"(gt|groundtruth|mask|annotation|label|segmentation|segmentationmask)s?")
_SYSTEM = frozenset(
    (
        *("__macosx", "network trash folder", "temporary items"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler", "system volume information"),
        *("@eadir", "@__thumb", "#recycle", "@recycle", "@recently-snapshot", "@synoresource", "#snapshot"),
        "lost+found",
    )
)


def split_of(folder: str) -> str | None:
    """Return the split that a folder's name stands for, ``None`` where it stands for none.

    Examples:
        >>> [split_of(name) for name in ("TRAIN", "val_set", "Test_1", "hold-out", "dev", "deck")]
        ['train', 'val', 'test', 'test', 'val', None]
    """
    letters = "".join(filter(str.isalpha, name_key(folder)))
    return _SPLIT_BY_WORD.get(letters) or _SPLIT_BY_WORD.get(_OF_A_SET.sub("", letters))


def is_fold(folder: str) -> bool:
    """Return whether a folder's name is that of one fold of a cross-validation.

    Examples:
        >>> is_fold("fold_1"), is_fold("Fold 12"), is_fold("folder 1")
        (True, True, False)
    """
    return _FOLD.fullmatch("".join(filter(str.isalnum, name_key(folder)))) is not None


def mentions_split(folder: str) -> bool:
    """Return whether one word of a folder's name is that of a split, as in ``crack_train``."""
    return any(split_of(word) for word in re.split(r"[\W_]+", folder))


def is_mask_folder(folder: str) -> bool:
    """Return whether a folder's name stands for masks or annotations.

    Examples:
        >>> is_mask_folder("GT"), is_mask_folder("ground_truth"), is_mask_folder("crack")
        (True, True, False)
    """
    return _MASKS.fullmatch("".join(filter(str.isalpha, name_key(folder)))) is not None


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or one of an operating system or archiver.

    Examples:
        >>> is_hidden("._photo.jpg"), is_hidden("@eaDir"), is_hidden("photo.jpg")
        (True, True, False)
    """
    return name.startswith(".") or name.casefold() in _SYSTEM


def is_left_in_cloud(name: str) -> bool:
    """Return whether a file is the placeholder of one that macOS has not downloaded from iCloud.

    Examples:
        >>> is_left_in_cloud(".IMG_0001.HEIC.icloud")
        True
    """
    return name.startswith(".") and name.endswith(".icloud")
