"""Configuration of resumed runs: permitted changes, moved data, and checks of an untrusted folder."""
