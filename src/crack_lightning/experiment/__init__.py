"""From a configuration to a run, an evaluation or an audit: the only package that imports all the others."""
