"""Posts a JSON document to an address, and prints what came back: `verdicts.py URL DOCUMENT`."""

import json
import sys

import httpx

answer = httpx.post(sys.argv[1], json=json.loads(sys.argv[2]), timeout=60)
sys.stdout.write(json.dumps({"status": answer.status_code, "body": answer.json()}) + "\n")
