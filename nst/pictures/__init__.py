"""Picture files in and out: find, read, resize, write. Independent of networks and runs."""
