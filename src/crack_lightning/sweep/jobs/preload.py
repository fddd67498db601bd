"""The first import of the jobs' forkserver, which makes it exit with its sweep."""

from crack_lightning.runtime.processes import exit_with_owner

exit_with_owner()
