"""A process of `make benchmark-scaling`."""

import sys

from benchmarks.scaling import train

train(*sys.argv[1:])
