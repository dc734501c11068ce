"""The engine without a server: texts on standard input, figures on standard output."""

from __future__ import annotations

import json
import sys

from benchmarks.serving.__main__ import limit

if __name__ == "__main__":
    json.dump(limit(json.load(sys.stdin), float(sys.argv[1])), sys.stdout)
