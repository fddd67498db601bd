"""What the jobs' forkserver imports once, so that a job starts in a tenth of a second."""

import crack_lightning.experiment
import crack_lightning.inference.predictor  # noqa: F401
