"""Clustering of embedded rows: the partition, the algorithms, and the terms that describe a cluster.

`cluster` turns vectors into a `Clustering` by a `Clusterer`, of which there are four; new rows join one in `joining`.
"""
