"""Published archives: fetched, verified, unpacked."""
