"""One module for each inference backend, named as in ``engine=``."""
