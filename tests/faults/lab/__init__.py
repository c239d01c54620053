"""The fault laboratory: the whole system, an oracle that samples what it serves, and a table of faults.

`make faults` runs all of it and writes docs/faults.md; tests/faults/test_lab.py runs a short form.
"""
