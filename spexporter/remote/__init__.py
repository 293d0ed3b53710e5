"""Asking a running exporter over HTTP."""
