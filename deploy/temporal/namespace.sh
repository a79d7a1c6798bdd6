#!/bin/sh
# Makes the platform's namespace; `treum register` sets its search attributes and retention.
set -eu
temporal operator namespace describe >/dev/null 2>&1 ||
    temporal operator namespace create --retention 90d --namespace "$TEMPORAL_NAMESPACE"
