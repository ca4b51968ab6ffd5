"""Tests are rules: each is named by the act it tests and marked with the rule it shows."""
