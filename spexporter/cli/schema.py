"""`spexporter schema`: what an editor needs to know about the configuration file."""

import json

import typer

from spexporter.config.schema import file_schema


def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    typer.echo(json.dumps(file_schema(), indent=2, ensure_ascii=False))
