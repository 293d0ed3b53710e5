"""The tables of the store, and how a store of an earlier version becomes one of this version."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text

_metadata = MetaData()

ledger = Table(
    "ledger",
    _metadata,
    Column("version", Integer),
    Column("generation", BigInteger),  # grows with each transaction: a file that was exchanged has another one
)
tenants = Table(
    "tenants",
    _metadata,
    Column("tenant", Text, primary_key=True),
    Column("seen_s", Double),
    Column("facts", Text),  # JSON of ledger.book.Facts
)
jobs = Table(
    "jobs",
    _metadata,
    Column("tenant", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("watched", Boolean),
    Column("wanted_s", Double),
    Column("leaves_s", Double),  # null until nothing is left to ask
    Column("body", Text),  # JSON of domain.job.Job; null once the job has left the pages
)
counters = Table(
    "counters",
    _metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("labels", Text, primary_key=True),  # JSON list of label values
    Column("value", Double),
    Column("published", Double),
    Column("late", Double),
    Column("exemplar", Text),  # JSON of domain.counting.Exemplar, or null
)
windows = Table(
    "windows",
    _metadata,
    Column("client_group", Text, primary_key=True),
    Column("stored_s", Double),
    Column("state", Text),  # JSON of domain.budget.BudgetState by API version; null while a process uses it
)

# What each version adds to the one before, in SQL that SQLite and PostgreSQL both read. Never changed once released:
# a store may be of any version.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE ledger (version INTEGER NOT NULL, generation BIGINT NOT NULL)",
        "INSERT INTO ledger (version, generation) VALUES (0, 0)",
        "CREATE TABLE tenants (tenant TEXT PRIMARY KEY, seen_s DOUBLE PRECISION NOT NULL, facts TEXT NOT NULL)",
        """CREATE TABLE jobs (
            tenant TEXT NOT NULL, operation TEXT NOT NULL, job_id TEXT NOT NULL,
            watched BOOLEAN NOT NULL, wanted_s DOUBLE PRECISION NOT NULL, leaves_s DOUBLE PRECISION, body TEXT,
            PRIMARY KEY (tenant, operation, job_id)
        )""",
        """CREATE TABLE counters (
            tenant TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL,
            value DOUBLE PRECISION NOT NULL, published DOUBLE PRECISION NOT NULL, late DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (tenant, name, labels)
        )""",
        "CREATE TABLE windows (client_group TEXT PRIMARY KEY, stored_s DOUBLE PRECISION, state TEXT)",
    ),
    ("ALTER TABLE counters ADD COLUMN exemplar TEXT",),
)
VERSION = len(MIGRATIONS)
