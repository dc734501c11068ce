"""What streams of events cost, and what is lost or repeated when things break."""
