"""Durable memory: what was watched, seen and counted."""
