"""Alibi's Anchors as a KServe explainer, in an environment of its own.

Alibi 0.9.4, its last release under the Apache licence, asks for NumPy 1 and Pillow 9, which
nothing else of Rampart can be installed beside. So this imports nothing of Rampart, its lock is
requirements/alibi.txt, and it knows the predictor by its protocol alone.
"""
