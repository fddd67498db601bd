"""Tables of predictions: CSV on one machine, Parquet on a cluster."""
