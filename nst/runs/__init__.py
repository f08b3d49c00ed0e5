"""Jobs, batches, run folders, checkpoints: from a job to its picture, and on after a stop."""
