"""The ledger on a database: SQLite and PostgreSQL."""
