"""Text from tokens as they arrive: what is handed out is final, whole and free of stop strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_fast import Tokenizer
from llava_fast.streaming import BROKEN, TextStream

NAMES = ("chatml", "llama3", "sp_first", "sp_legacy")


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request, data):
    return Tokenizer.from_pretrained(data / "tokenizers" / request.param)


def pieces(tokenizer, ids, stops=(), whole=True):
    stream = TextStream(tokenizer.decode, stops)
    found = []
    for token in ids:
        found.append(stream.push(token))
        if stream.stopped:
            break
    found.append(stream.finish(whole=whole))
    assert "".join(found) == stream.text
    return found


# Letters of one to four bytes: the tokenizers spell most of them byte by byte.
texts = st.text(st.sampled_from("ab  .\n<>#é你好🙂日\u0301"), max_size=25)


@given(text=texts)
def test_the_pieces_are_the_text(tokenizer, text):
    ids = tokenizer.encode(text)
    found = pieces(tokenizer, ids)
    assert "".join(found) == tokenizer.decode(ids)
    assert BROKEN not in "".join(found)


@given(text=texts, cut=st.integers(0, 60))
def test_an_unfinished_character_is_never_shown(tokenizer, text, cut):
    ids = tokenizer.encode(text)
    found = "".join(pieces(tokenizer, ids[:cut], whole=False))
    assert BROKEN not in found
    assert tokenizer.decode(ids).startswith(found)


@given(text=texts, stop=st.text(st.sampled_from("ab #é你🙂"), min_size=1, max_size=4))
def test_nothing_of_a_stop_string_leaks(tokenizer, text, stop):
    """Whatever has been shown at any time is a beginning of the text before the stop."""
    ids = tokenizer.encode(text)
    whole = tokenizer.decode(ids)
    expected = whole.split(stop)[0]
    shown = ""
    for piece in pieces(tokenizer, ids, [stop]):
        shown += piece
        assert expected.startswith(shown)
    assert shown == expected


@given(ids=st.lists(st.integers(0, 400), max_size=30))
def test_any_tokens_give_some_text(tokenizer, ids):
    """Bytes that are no character included: no exception, and nothing is taken back."""
    pieces(tokenizer, ids)


def test_the_first_of_several_stops_ends_the_text(tokenizer):
    ids = tokenizer.encode("one ### two STOP three")
    assert "".join(pieces(tokenizer, ids, ["STOP", "##"])) == "one "


def test_a_stop_string_that_is_not_completed_is_text(tokenizer):
    text = "a line##"
    assert "".join(pieces(tokenizer, tokenizer.encode(text), ["###"])) == text


def test_text_is_handed_out_early(tokenizer):
    """A stream that holds everything back until the end would pass the other tests."""
    found = pieces(tokenizer, tokenizer.encode("the cat sat on the mat"), ["###"])
    assert len([piece for piece in found[:-1] if piece]) > 3
