"""The registry of metrics, and the functions that compute them."""
