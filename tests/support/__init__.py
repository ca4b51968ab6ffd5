"""Tools the tests share: databases, cases on file, a serving API."""
