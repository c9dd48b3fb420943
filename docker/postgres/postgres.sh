#!/bin/sh
# Creates the database on the first start, then becomes the server.
set -eu
: "${POSTGRES_PASSWORD:?expected the password of the database}"
user=${POSTGRES_USER:-postgres}
bin=$(echo /usr/lib/postgresql/*/bin)
PATH="$bin:$PATH"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password
  initdb --username="$user" --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  if [ "${POSTGRES_DB:-postgres}" != postgres ]; then
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" postgres > /dev/null
  fi
fi
exec postgres -c listen_addresses='*'
