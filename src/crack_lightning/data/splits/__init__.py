"""Train, validation and test: stratified, grouped, seeded."""
