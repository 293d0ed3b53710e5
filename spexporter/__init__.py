"""Prometheus exporter for SailPoint Identity Security Cloud configuration jobs."""

__version__ = "0.1.0"
