"""`llava-fast inspect`: records as the loader encodes them, to be looked at.

`source` asks the loader's core, `views` is what comes out, `terminal` and `page` show it.
"""
