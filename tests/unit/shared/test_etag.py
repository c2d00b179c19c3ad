"""If-Match is read in one place, and a page's link keeps what was asked."""

import pytest
from fastapi import Request, Response

from regiohub_shared.web.etag import InvalidIfMatch, parse_version
from regiohub_shared.web.paging import link_next


@pytest.mark.parametrize(("sent", "version"), [(None, None), ('"1"', 1), (' "42" ', 42)])
def test_an_etag_that_we_gave_is_its_version(sent, version):
    assert parse_version(sent) == version


@pytest.mark.parametrize("sent", ['W/"1"', "1", '"1', '""', '"x"', "*", '"1", "2"', '"1234567890"', '"١"'])
def test_weak_and_foreign_tags_are_refused(sent):
    with pytest.raises(InvalidIfMatch):
        parse_version(sent)


def test_the_next_page_keeps_every_parameter_but_the_cursor():
    query = b"booking_id=7&cursor=old&kind=a&kind=b&empty="
    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": query, "headers": [], "server": ("h", 80)}
    response = Response()

    link_next(Request(scope), response, "new one")

    assert response.headers["link"] == '<?booking_id=7&kind=a&kind=b&empty=&cursor=new+one>; rel="next"'
    link_next(Request(scope), plain := Response(), None)
    assert "link" not in plain.headers
