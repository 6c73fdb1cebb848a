#!/bin/sh
# A key for TLS that exists in this guest alone, and a certificate for it from whom the host carries the request to, by vsock.
set -eu
umask 077
name=$(echo "$URL" | sed -E 's|^https://([^:/]+).*|\1|')
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.pem -subj "/CN=$name" \
  -addext "subjectAltName=DNS:$name" -out request.pem
socat -t 60 - VSOCK-CONNECT:2:9001 < request.pem > cert.pem
