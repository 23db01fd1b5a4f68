"""The two exceptions a user meets. Built from one string, so that they survive pickling and worker
processes; the string names record, id, file and cause."""


class _CodedError(ValueError):
    """code: the reason in one word, as `bad` and `llava-fast index --check` have it; empty where
    torch built the exception again in another process."""

    def __init__(self, message: str = "", code: str = "") -> None:
        super().__init__(message)
        self.code = code


class DataError(_CodedError):
    """A record, a conversation or a data file that cannot be used."""


class ImageError(_CodedError):
    """A picture that cannot be read or decoded."""
