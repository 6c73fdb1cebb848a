#!/bin/sh
# The first process of the enclave. It has no network but vsock to its parent (CID 3), on these ports:
#   9000  the parent gives the gateway's token for nodes, and ends the connection
#   9001  the parent takes a certificate request, and gives the certificate for it: all of it is public
#   9002  the parent carries bytes to the gateway
#   9003  the parent carries bytes of the gateway's to the node
# What comes from the parent decides nothing that is attested: a wrong token is not let in, a certificate is for the key
# that was made here, and the bytes are TLS. Gateway, log and address are in the image, and so in PCR0 and PCR2.
set -eu
umask 077

gateway_name=$(echo "$GATEWAY" | sed -E 's|^https://([^:/]+).*|\1|')
gateway_port=$(echo "$GATEWAY" | sed -nE 's|^https://[^:/]+:([0-9]+)$|\1|p')
gateway_port=${gateway_port:-443}
own_name=$(echo "$URL" | sed -E 's|^https://([^:/]+).*|\1|')

ip link set lo up
echo "127.0.0.1 localhost $gateway_name" > /etc/hosts
socat TCP-LISTEN:"$gateway_port",bind=127.0.0.1,fork,reuseaddr VSOCK-CONNECT:3:9002 &
socat VSOCK-LISTEN:9003,fork,reuseaddr TCP:127.0.0.1:8789 &

# The enclave's memory is all it has: its keys are made at each start, and go with it.
install -d -m 0700 /run/tallystick
cd /run/tallystick
socat -u VSOCK-CONNECT:3:9000 CREATE:node-token
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.pem -subj "/CN=$own_name" \
  -addext "subjectAltName=DNS:$own_name" -out request.pem
socat -t 60 - VSOCK-CONNECT:3:9001 < request.pem > cert.pem

exec node /opt/tallystick/packages/server/bin/tallyd.js node --json --gateway "$GATEWAY" --token-file node-token \
  --log-key "$LOG_KEY" --data data --url "$URL" --tls-cert cert.pem --tls-key tls.pem \
  --attest /usr/local/bin/nsm-attest
