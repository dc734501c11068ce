"""Rampart's predictor beside the servers that one would otherwise pick."""
