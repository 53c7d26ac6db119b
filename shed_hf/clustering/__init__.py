"""Clustering of embedded rows: the partition, the algorithms, and the terms that describe a cluster."""
