"""Download, verification and unpacking of published archives."""
