"""If-Match is read in one place, and a page's link keeps what was asked."""

import pytest
from fastapi import Request, Response

from regiohub_shared.web.etag import InvalidIfMatch, parse_versions
from regiohub_shared.web.paging import link_next


def matching(sent: str | None) -> list[int]:
    """Which of what exists (and of version 0, which does not) a header matches."""
    versions = parse_versions(sent)
    assert versions is not None
    return [version for version in (0, 1, 2, 3, 42) if version in versions]


def test_without_the_header_nothing_is_named():
    assert parse_versions(None) is None


@pytest.mark.parametrize(
    ("sent", "matched"),
    [
        ('"1"', [1]), (' "42" ', [42]), ('"1", "3"', [1, 3]), ('"1","2" ,\t"7"', [1, 2]), (', "2",,', [2]),
        ('"a,b", "2"', [2]), ('W/"1", "3"', [3]), ("*", [1, 2, 3, 42]), (" * ", [1, 2, 3, 42]), ('"0"', [0]),
    ],
)  # fmt: skip
def test_a_tag_a_list_and_the_star_match_what_they_name(sent, matched):
    assert matching(sent) == matched


@pytest.mark.parametrize("sent", ['W/"1"', 'W/"1", W/"2"', '""', '"x"', '"01"', '"1234567890"', '"\xb9"'])
def test_weak_and_foreign_tags_match_nothing(sent):
    assert matching(sent) == []


@pytest.mark.parametrize(
    "sent", ["", ",", "1", '"1', '1"', 'w/"1"', 'W/ "1"', '"1" "2"', '*, "1"', "* *", '"1", 2', '"١"', '"1"\n', " " * 9]
)
def test_what_is_no_tag_is_refused(sent):
    with pytest.raises(InvalidIfMatch):
        parse_versions(sent)


def test_the_next_page_keeps_every_parameter_but_the_cursor():
    query = b"booking_id=7&cursor=old&kind=a&kind=b&empty="
    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": query, "headers": [], "server": ("h", 80)}
    response = Response()

    link_next(Request(scope), response, "new one")

    assert response.headers["link"] == '<?booking_id=7&kind=a&kind=b&empty=&cursor=new+one>; rel="next"'
    link_next(Request(scope), plain := Response(), None)
    assert "link" not in plain.headers
