"""Run the command line with `python -m spexporter`."""

from spexporter.cli.main import entry

entry()
