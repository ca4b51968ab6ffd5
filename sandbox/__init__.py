"""A peer that plays every agency over the HTTP contract; it imports nothing of OneWindow."""
