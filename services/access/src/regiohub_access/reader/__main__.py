"""`python -m regiohub_access.reader`."""

import asyncio
import sys

from regiohub_access.reader.program import main
from regiohub_access.reader.settings import SettingsError
from regiohub_access.reader.store import StoreError

try:
    asyncio.run(main())
except (SettingsError, StoreError, OSError) as error:
    sys.exit(f"reader: {error}")
