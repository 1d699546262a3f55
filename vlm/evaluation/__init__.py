"""Measure a model on annotated images."""
