"""The independent oracle: every Annex B figure again, from the source files, in plain Python.

It stands on the standard library (and `phonenumbers`, to decide what a possible number is), imports no module
of the product, uses no SQL, and calculates with integers and fractions alone. What it says is compared with
the marts row by row.
"""
