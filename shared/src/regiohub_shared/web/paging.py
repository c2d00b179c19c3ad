"""Lists go by cursor: the link to the next page."""

from fastapi import Request, Response


def link_next(request: Request, response: Response, cursor: object | None) -> None:
    """Send ``Link: <…>; rel="next"`` beside ``next``, with every parameter of this request but another cursor.

    It is relative, since the gateway has another path.
    """
    if cursor is not None:
        query = request.url.include_query_params(cursor=cursor).query
        response.headers["Link"] = f'<?{query}>; rel="next"'
