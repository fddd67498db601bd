"""From a folder to its images: what is used, what is left out and why."""
