#!/bin/sh
# Writes S3Proxy's configuration from the environment and becomes the server.
# AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are required: the server is never open to all.
set -eu
: "${AWS_ACCESS_KEY_ID:?expected the key that clients will use}"
: "${AWS_SECRET_ACCESS_KEY:?expected the secret that clients will use}"
bucket=${KAFKALAB_S3_BUCKET:-kafkalab}
mkdir -p "/var/lib/s3/$bucket"
umask 077
cat > /tmp/s3proxy.properties <<CONFIG
s3proxy.endpoint=http://0.0.0.0:9000
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity=$AWS_ACCESS_KEY_ID
s3proxy.credential=$AWS_SECRET_ACCESS_KEY
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=/var/lib/s3
CONFIG
exec /opt/jre/bin/java -Xmx256m -XX:+UseSerialGC -jar /opt/s3proxy/*.jar --properties /tmp/s3proxy.properties
