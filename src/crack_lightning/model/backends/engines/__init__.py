"""One module for each inference backend, named as ``engine=`` names it."""
