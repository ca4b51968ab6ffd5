"""The case file, on SQLite and on a real PostgreSQL."""
