"""The two exceptions a user meets. Built from one string, so that they survive pickling and worker
processes; the string names record, id, file and cause."""


class DataError(ValueError):
    """A record, a conversation or a data file that cannot be used."""


class ImageError(ValueError):
    """A picture that cannot be read or decoded."""
