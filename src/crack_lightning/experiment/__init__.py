"""Training runs, evaluations and audits from a configuration; imports every other package."""
