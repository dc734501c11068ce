"""The control API: start, follow and stop studies and runs; promote what they found."""
