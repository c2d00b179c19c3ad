#!/usr/bin/env bash
# Builds regiohub/{booking,access,billing,gateway}:$TAG with buildah, each from the one Dockerfile.
# BASE: an image with Python 3.11–3.13 and venv, as `python`; empty: a stand-in is made from Debian packages with mmdebstrap,
# for machines that reach no image registry. `build.sh --may-nest` only says whether this machine can (0) or is not let (3).
set -euo pipefail
cd "$(dirname "$0")/../.."
TAG=${TAG:-0.1.0}
BASE=${BASE:-}
export CONTAINERS_CONF="$PWD/deploy/images/containers.conf" BUILDAH_ISOLATION=chroot
STAND_IN=localhost/regiohub-base:trixie
REFUSED=3

# Only the kernel's own no is REFUSED; whatever else goes wrong is a failure.
may_nest() {
    local said
    said=$(LC_ALL=C unshare --mount --pid --net --ipc --uts --fork true 2>&1) && return
    case $said in
        *"Operation not permitted" | *"Permission denied")
            echo "Images: not tried here, because the kernel does not let $(id -un) make namespaces (CAP_SYS_ADMIN)"
            exit $REFUSED ;;
    esac
    echo "Error: whether the kernel allows namespaces cannot be told: $said" >&2
    exit 1
}

tools() {
    local missing=()
    for tool in buildah podman runc mmdebstrap; do command -v "$tool" > /dev/null || missing+=("$tool"); done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" != 0 ]; then echo "Missing: ${missing[*]} (Debian packages of the same names)" >&2; exit 1; fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        buildah podman runc catatonit mmdebstrap containernetworking-plugins > /dev/null
}

stand_in() {
    buildah inspect --type image "$STAND_IN" > /dev/null 2>&1 && return
    echo "Base: making the stand-in $STAND_IN from Debian packages …"
    mkdir -p .cache
    # Its system is thrown away when the tar is written: that it survives a power cut (a third of the time) is of no use.
    mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --include=ca-certificates,python3,python3-venv \
        --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED; ln -s python3 "$1"/usr/bin/python' \
        trixie .cache/trixie.tar
    podman import --quiet .cache/trixie.tar "$STAND_IN" > /dev/null
    rm .cache/trixie.tar
}

# The machine's own certificates and pip settings serve the build as well; they stay out of the image.
host_settings() {
    [ -f /etc/ssl/certs/ca-certificates.crt ] && echo "--volume=/etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro"
    [ -f /etc/pip.conf ] && echo "--volume=/etc/pip.conf:/etc/pip.conf:ro"
    true
}

build() {
    echo "Image: regiohub/${1##*/}:$TAG …"
    buildah bud --quiet --format docker --network host --layers $(host_settings) \
        --build-arg BASE="$BASE" --build-arg MEMBER="$1" \
        -f deploy/images/Dockerfile -t "localhost/regiohub/${1##*/}:$TAG" . > /dev/null
}

may_nest
[ "${1:-}" != --may-nest ] || exit 0
tools
if [ -z "$BASE" ]; then
    stand_in
    BASE=$STAND_IN
fi
for member in services/booking services/access services/billing gateway; do build "$member"; done
