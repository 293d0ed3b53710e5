"""usage: helm_client.py CHART: lint a chart, render it with sets of values, and hold that against Kubernetes' schemas.

It runs in an environment of its own, with Helm and the schemas as libraries. Sets of values come as JSON on standard
input, by name; what became of them goes to standard output: `objects`, or `refused` with the reason.
"""

import json
import sys
from typing import Any

import helm_python  # type: ignore[import-not-found]  # see above
import kubernetes_validate  # type: ignore[import-not-found]
import yaml

OURS = "monitoring.coreos.com/"  # what is no part of Kubernetes, and has its schema elsewhere


def main(path: str) -> None:
    """Print what Helm and Kubernetes say."""
    with helm_python.Chart.load(path) as chart:
        said = {name: tried(chart, values) for name, values in json.load(sys.stdin).items()}
    lint = helm_python.lint(path, strict=True, quiet=True)
    json.dump({"lint": [*lint["errors"], *lint["messages"]], "sets": said}, sys.stdout)


def tried(chart: Any, values: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - the library has no types
    """Render one set of values."""
    try:
        files = chart.render(values, name="trial", namespace="monitoring")
    except helm_python.HelmError as error:
        return {"refused": str(error)}
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    objects = [each for text in texts for each in yaml.safe_load_all(text) if each]
    return {"objects": objects, "wrong": [wrong for each in objects if (wrong := mistake(each))]}


def mistake(thing: dict[str, Any]) -> str | None:
    """Return what Kubernetes would not take of an object, unknown keys included."""
    if thing["apiVersion"].startswith(OURS):
        return None
    try:
        kubernetes_validate.validate(thing, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{thing['kind']}: {error.message}"
    return None


if __name__ == "__main__":
    main(sys.argv[1])
