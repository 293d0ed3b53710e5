"""From views to the text that Prometheus reads."""
