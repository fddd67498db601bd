"""``python -m crack_lightning.train``, but that nothing is trained: what a sweep itself takes is left."""

from __future__ import annotations

import sys

from crack_lightning import train
from crack_lightning.cli.main import main


def nothing(*_: object, **__: object) -> int:
    """Do nothing, as a job."""
    return 0


train.run = nothing  # in a job's process too, for that imports the script that its sweep was started with

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
