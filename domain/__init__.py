"""The pure rules: no I/O, no clock, no engine. Imports nothing of ours from outside this package."""
