"""VGG-16 and VGG-19: their layers, and weight files of several formats."""
