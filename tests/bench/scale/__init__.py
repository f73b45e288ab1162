"""Scales: many routes, many connections, large bodies."""
