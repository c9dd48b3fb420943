#!/bin/sh
# Becomes the broker (PID 1: SIGTERM is its clean shutdown). Arguments are options of the JVM.
# Expects /etc/kafka/server.properties and the variables CLUSTER_ID and DIRECTORY_ID.
#
# Storage was formatted once when the image was built, which saves 1.5 s of CPU per broker and start;
# a new broker gets a copy with ids of its own.
set -eu
config=/etc/kafka/server.properties
property() { sed -n "s/^$1=//p" "$config" | tail -n 1; }
data=$(property 'log\.dirs')
if [ ! -f "$data/meta.properties" ]; then
  mkdir -p "$data"
  for file in /opt/kafka/formatted/*; do
    [ "${file##*/}" = meta.properties ] || cp "$file" "$data/"
  done
  sed -e '/^#/d' -e "s/^cluster\.id=.*/cluster.id=$CLUSTER_ID/" \
    -e "s/^node\.id=.*/node.id=$(property 'node\.id')/" \
    -e "s/^directory\.id=.*/directory.id=$DIRECTORY_ID/" \
    /opt/kafka/formatted/meta.properties > "$data/meta.properties"
fi
exec /opt/jre/bin/java "$@" -cp '/opt/kafka/libs/*' kafka.Kafka "$config"
