#!/bin/sh
# Waits until Temporal answers and makes the namespace and its search attributes. Safe to repeat.
set -eu
: "${TEMPORAL_ADDRESS:?}" "${NAMESPACE:?}" "${RETENTION:?}"

left=60
until temporal operator cluster health >/dev/null 2>&1; do
  left=$((left - 1))
  if [ "$left" -le 0 ]; then
    echo "Temporal at $TEMPORAL_ADDRESS did not become healthy" >&2
    exit 1
  fi
  sleep 2
done

if temporal operator namespace describe --namespace "$NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace update --namespace "$NAMESPACE" --retention "$RETENTION"
else
  temporal operator namespace create --namespace "$NAMESPACE" --retention "$RETENTION"
fi

# Before the first run: one that sets an attribute nobody registered would be stuck. Creating one that exists is fine.
# A new namespace is known everywhere only after some seconds.
for name in RunbookService RunbookMode RunbookWaiting RunbookOutcome; do
  left=30
  until temporal operator search-attribute create --namespace "$NAMESPACE" --name "$name" --type Keyword; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || exit 1
    sleep 2
  done
done
