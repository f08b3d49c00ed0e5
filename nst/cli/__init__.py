"""What a user sees in the terminal and the browser, and the signals that stop a run."""
