"""From a configuration to a run, an evaluation or an audit: the only room that knows all the others."""
