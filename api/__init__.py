"""The HTTP contract, `/api/v1`: one way in for the desk, the channels and the agencies."""
