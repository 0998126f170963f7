"""Other libraries' names, signatures, defaults and state dicts on fastspec's kernels: change the import, keep the code.

Nothing here imports the library that it stands for.
"""
