"""The configuration file: what it can say, how it is read, and what is wrong with it."""

from spexporter.config.load import load
from spexporter.config.secret import Secret
from spexporter.config.values import Config, Counters, JobEntry, MaxAnswer, Store, Tenant

__all__ = ["Config", "Counters", "JobEntry", "MaxAnswer", "Secret", "Store", "Tenant", "load"]
