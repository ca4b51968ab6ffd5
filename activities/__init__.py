"""What a process does in the world: owe a task, read and write the case file."""
