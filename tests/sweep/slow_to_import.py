"""What a forkserver is asked to import, and takes ten minutes for."""

import os
import time
from pathlib import Path

if told := os.environ.get("FORKSERVER_PID"):  # pytest imports every module here, for its doctests
    Path(told).write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(600)
