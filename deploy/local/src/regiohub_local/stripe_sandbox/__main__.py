"""``python -m regiohub_local.stripe_sandbox``: serve on loopback until told to stop."""

import uvicorn

from regiohub_local.stripe_sandbox.app import create_app
from regiohub_local.stripe_sandbox.settings import Settings


def main() -> None:
    """Serve the sandbox; only this machine can reach it."""
    settings = Settings()
    uvicorn.run(create_app(settings), host="127.0.0.1", port=settings.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
