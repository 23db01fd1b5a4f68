"""`llava-fast index DATA --check`: all of a data set looked at once, before anyone trains on it."""
