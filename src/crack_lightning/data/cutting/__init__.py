"""Photos with pixel masks, cut into labelled tiles."""
