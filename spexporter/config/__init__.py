"""Configuration files: what they can say, how they are read, and what is wrong with them."""

from spexporter.config.jobs import parse_jobs
from spexporter.config.load import load
from spexporter.config.secret import Secret
from spexporter.config.values import (
    BadFile,
    Config,
    Counters,
    JobEntry,
    Limits,
    MaxAnswer,
    Store,
    Tenant,
    TenantFile,
)

__all__ = [
    "BadFile",
    "Config",
    "Counters",
    "JobEntry",
    "Limits",
    "MaxAnswer",
    "Secret",
    "Store",
    "Tenant",
    "TenantFile",
    "load",
    "parse_jobs",
]
