"""What the jobs' forkserver imports once, so that a job starts in a tenth of a second."""

from crack_lightning.sweep.lifeline import killed_with_served

killed_with_served()

import crack_lightning.experiment  # noqa: E402
import crack_lightning.inference.predictor  # noqa: E402, F401
