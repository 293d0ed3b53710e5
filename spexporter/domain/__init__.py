"""Plain values and arithmetic: no I/O, no clock, no logging, no prometheus_client."""
