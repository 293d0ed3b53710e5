"""Asking tenants without a daemon, for commands that come and go: no ledger, no board, a tenth of the rate limit."""
