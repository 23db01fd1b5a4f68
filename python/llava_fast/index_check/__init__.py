"""`llava-fast index DATA --check`: the whole of a data set looked at once, before anyone trains on it."""
