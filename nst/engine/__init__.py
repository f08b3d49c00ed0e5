"""J and its gradient at any size, the optimizers, forecasts. Writes no files, prints nothing."""
