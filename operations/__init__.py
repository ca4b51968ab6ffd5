"""What administrators do with processes: find what is stuck, replay, repair (RB-12)."""
