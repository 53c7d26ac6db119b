"""Small helpers that know nothing of the domain: console output, names, random streams, text."""
