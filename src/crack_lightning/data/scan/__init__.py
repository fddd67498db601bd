"""One pass over the files of a set: digests, image statistics, what cannot be read."""
