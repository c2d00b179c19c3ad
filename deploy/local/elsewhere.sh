#!/usr/bin/env bash
# `make run` of this commit as a throw-away user without any right, then once more with nothing but loopback to talk to.
# Root is needed to make the user and the network namespace. The house's own output is shown.
set -euo pipefail
cd "$(dirname "$0")/../.."
NAME=regiohub-elsewhere
PLACE=/var/tmp/$NAME

fail() { echo "Error: $1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "a throw-away user and an empty network need root"
for tool in git ip runuser unshare useradd; do
    command -v "$tool" > /dev/null || fail "$tool is missing (Debian: git iproute2 util-linux passwd)"
done
id "$NAME" > /dev/null 2>&1 && fail "the user $NAME exists already: userdel --remove $NAME, if an earlier run left it"

# What tells pip and npm where packages are and whom to trust; nothing else of our environment.
settings() { env | grep -E '^(PIP|SSL|REQUESTS|CURL|NODE_EXTRA)_[A-Z_]+=' || true; }

as_user() {
    local kept=()
    mapfile -t kept < <(settings)
    runuser -u "$NAME" -- env -i -C "$PLACE/clone" HOME="$PLACE" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin \
        "${kept[@]}" PYTHON=/usr/bin/python3 "$@"
}

clean_up() {
    [ -d "$PLACE/clone" ] && as_user make stop || true
    userdel --remove "$NAME" 2> /dev/null || true
}

prepare() {
    useradd --system --create-home --home-dir "$PLACE" --shell /bin/bash "$NAME"
    trap clean_up EXIT
    git clone --quiet . "$PLACE/clone"
    [ -f ~/.npmrc ] && install -m 0600 ~/.npmrc "$PLACE/.npmrc"
    chown -R "$NAME:" "$PLACE"
}

# The receipt of the proof booking names an invoice.
house_runs() {
    "$@" make run | tee "$PLACE/said"
    grep -q 'TEST-R-' "$PLACE/said" || fail "no receipt was printed"
    "$@" make stop
    [ -z "$(ps -o pid= -u "$NAME")" ] || fail "processes of $NAME are left: $(ps -o args= -u "$NAME")"
}

alone() {
    ip link set lo up
    [ "$(ip -o link | wc -l)" = 1 ] || fail "there is more than loopback"
    [ -z "$(ip route)" ] || fail "there is a way out"
    house_runs as_user
}

prepare
echo "== As $NAME ($(as_user id))"
house_runs as_user
echo "== As $NAME, with nothing but loopback"
export -f alone house_runs as_user settings fail
export NAME PLACE
unshare --net -- bash -euo pipefail -c alone
echo "== Both ran, and nothing is left."
