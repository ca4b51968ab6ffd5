"""The pure rules: no I/O, no clock, no engine. Imports nothing else of ours."""
