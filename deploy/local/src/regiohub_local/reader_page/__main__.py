"""``python -m regiohub_local.reader_page``: serve on loopback until told to stop."""

import uvicorn

from regiohub_local.reader_page.app import create_app
from regiohub_local.reader_page.settings import Settings


def main() -> None:
    """Serve the page; only this machine can reach it."""
    settings = Settings()
    uvicorn.run(create_app(settings), host="127.0.0.1", port=settings.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
