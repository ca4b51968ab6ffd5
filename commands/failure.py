"""How a command says that it cannot go on."""


class CommandFailed(Exception):
    """A command cannot do what was asked. Its text is one line: what, where, and what to do."""
