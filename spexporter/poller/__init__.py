"""Asks tenants what is due, and turns answers and failures into what the ledger keeps and the board shows."""

from spexporter.poller.care import Care
from spexporter.poller.group import Poller
from spexporter.poller.tenant import TenantPolling

__all__ = ["Care", "Poller", "TenantPolling"]
