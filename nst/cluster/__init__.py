"""Many pictures, or the tiles of one, on several machines with Ray."""
