"""What is made to look at: report, gallery, plot, animation. Needs only files and values."""
