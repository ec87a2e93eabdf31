"""Measurements, run by hand: ``python -m tests.benchmarks.overhead``.  Not part of the suite."""
