#!/bin/sh
# Makes the passwords of deploy/compose.yaml, each random, in deploy/secrets/ (ignored by git).
# Never overwrites: a password that the database already knows must not be lost.
set -eu
umask 077
cd "$(dirname "$0")"
if [ -e secrets ]; then
    echo "deploy/secrets exists already: nothing was changed" >&2
    exit 1
fi
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
database=$(random)
broker=$(random)
mkdir secrets
cat >secrets/postgres.env <<END
POSTGRES_USER=dragoman
POSTGRES_DB=dragoman
POSTGRES_PASSWORD=$database
END
cat >secrets/rabbitmq.env <<END
RABBITMQ_DEFAULT_USER=dragoman
RABBITMQ_DEFAULT_PASS=$broker
END
cat >secrets/dragoman.env <<END
DRAGOMAN_DATABASE=postgresql://dragoman:$database@postgres/dragoman
DRAGOMAN_BROKER=amqp://dragoman:$broker@rabbitmq/%2F
END
echo "made deploy/secrets/{postgres,rabbitmq,dragoman}.env"
