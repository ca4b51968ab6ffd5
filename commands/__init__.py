"""The `onewindow` command, one module a subject; `cli.py` puts them together."""
