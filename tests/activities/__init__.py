"""Activities by themselves: what they do over HTTP and on the case file, without an engine."""
