#!/bin/sh
# Starts the node in the foreground. On an empty volume it is formatted first, under a cluster id of its own.
set -eu

KAFKA_HOME=${KAFKA_HOME:-/opt/kafka}
PROPERTIES=${PROPERTIES:-/etc/kafka/consentinel/server.properties}
DATA=$(sed -n 's/^log\.dirs=//p' "$PROPERTIES")

if [ ! -f "$DATA/meta.properties" ]; then
    "$KAFKA_HOME/bin/kafka-storage.sh" format --config "$PROPERTIES" \
        --cluster-id "$("$KAFKA_HOME/bin/kafka-storage.sh" random-uuid)"
fi
exec "$KAFKA_HOME/bin/kafka-server-start.sh" "$PROPERTIES"
