"""Embedding: encoders, rows to unit vectors, decontamination, and features of a model beside the vectors."""
