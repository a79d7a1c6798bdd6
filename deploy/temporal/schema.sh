#!/bin/sh
# Makes or updates Temporal's two databases; repeating it changes nothing.
set -eu
versions=/etc/temporal/schema/postgresql/v12
for part in temporal visibility; do
    database=temporal
    [ "$part" = visibility ] && database=temporal_visibility
    temporal-sql-tool --db "$database" create
    # Fails where the schema is already there; the update below then tells whether that was why.
    temporal-sql-tool --db "$database" setup-schema -v 0.0 || echo "$database has its schema"
    temporal-sql-tool --db "$database" update-schema -d "$versions/$part/versioned"
done
