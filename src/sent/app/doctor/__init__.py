"""`sent doctor`: what is wrong on this machine, in words, and what to do. One file per subject."""
