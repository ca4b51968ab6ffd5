"""The case file: what was submitted, asked and decided, durable before it is processed."""
