"""Processes on a real engine, with a real case file; only the agencies are scripted."""
