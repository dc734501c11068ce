"""Training jobs: processes that train one bundle together, in pods or on this machine."""
