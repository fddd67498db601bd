"""``python -m crack_lightning <command>``: the same as the console script."""

import sys

from crack_lightning.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
