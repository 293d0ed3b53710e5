"""usage: webhook.py [HOST]:PORT: print each alert that Alertmanager sends there, one line each.

It stands for whatever takes your alerts, needs nothing but Python, and is for trying things out.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook(BaseHTTPRequestHandler):
    """Takes what Alertmanager posts."""

    def do_POST(self) -> None:
        """Print the alerts of one message."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in message["alerts"]:
            print(line(alert), flush=True)  # noqa: T201 - what it is for
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests: the alerts are what matters."""


def line(alert: dict[str, Any]) -> str:
    """Return an alert in one line."""
    labels = alert["labels"]
    about = " ".join(labels[name] for name in ("tenant", "operation", "job_id") if name in labels)
    return f"{alert['status']} {labels['alertname']} {about}: {alert['annotations'].get('summary', '')}"


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    ThreadingHTTPServer((host, int(port)), Webhook).serve_forever()
