"""A real Keycloak as a plain process: found, fetched once, built once, started on loopback.

The built distribution is shared by all clones of a user (`REGIOHUB_CACHE`, else ~/.cache/regiohub); a state
folder holds only its own database and the realm it imported. Any Java from 17 on runs it.
"""

from regiohub_local.keycloak.distribution import built_distribution
from regiohub_local.keycloak.following import admin_token, follow
from regiohub_local.keycloak.java import find_java
from regiohub_local.keycloak.names import ADMIN, REALM, Keycloak, KeycloakError
from regiohub_local.keycloak.realm_file import REALM_FOLDER, filled, placeholders, realm
from regiohub_local.keycloak.server import start, stop

__all__ = [
    "ADMIN", "REALM", "REALM_FOLDER", "Keycloak", "KeycloakError", "admin_token", "built_distribution", "filled",
    "find_java", "follow", "placeholders", "realm", "start", "stop",
]  # fmt: skip
