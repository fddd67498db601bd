"""The jobs of a sweep: worker processes, submission to clusters, heartbeats."""
