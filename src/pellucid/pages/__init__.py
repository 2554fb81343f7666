"""One page from one bundle: everything that a reader sees, as one file without scripts or requests.
"""
