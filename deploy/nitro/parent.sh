#!/bin/sh
# Beside the enclave, on the instance that is its parent: carries bytes, and has the enclave's certificate signed.
#   parent.sh GATEWAY_HOST:PORT ENCLAVE_CID TOKEN_FILE SIGN_COMMAND
# SIGN_COMMAND reads a certificate request in PEM and writes the certificate: of your own authority, say.
set -eu
gateway=$1 enclave=$2 token=$3 sign=$4
trap 'kill 0' EXIT
socat -U VSOCK-LISTEN:9000,fork,reuseaddr OPEN:"$token",rdonly &
socat VSOCK-LISTEN:9001,fork,reuseaddr EXEC:"$sign" &
socat VSOCK-LISTEN:9002,fork,reuseaddr TCP:"$gateway" &
socat TCP-LISTEN:8789,fork,reuseaddr VSOCK-CONNECT:"$enclave":9003 &
wait
