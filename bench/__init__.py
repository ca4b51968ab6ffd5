"""What OneWindow can carry on this machine, measured against the engine alone. `make bench`."""
