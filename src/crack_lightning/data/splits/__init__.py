"""Train, validation and test splits: stratified, grouped, seeded."""
