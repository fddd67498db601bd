"""Discovery of images, classes and splits in a folder."""
