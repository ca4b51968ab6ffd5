"""The processes: each reads as the story it tells."""
