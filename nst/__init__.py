"""What the algorithm in ``nst_utils`` stands on, one job per file."""

__version__ = "0.1.0"
