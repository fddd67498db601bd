"""Shards: the tiles of a source in WebDataset tars, each with an index for random access.

``<split>/00000.tar`` holds the files of whole photos, uncompressed and one after another, as
``<row>/<original path>``; ``<split>/00000.index`` has the place of each in the tar and its row of the tile
table; ``shards.json`` lists the shards. A path such as ``train/00000.tar/000000123/Positive/00001.jpg``
names a tile everywhere in the package.
"""
