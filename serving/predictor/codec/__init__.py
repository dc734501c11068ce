"""From what a client sent to texts and options, and from verdicts to what it gets back.

Pure functions: V1, V2 over REST and V2 over gRPC each decode into one `ScoreRequest` and encode
one `Answer`, so the three cannot disagree about what is allowed or what comes out.
"""
