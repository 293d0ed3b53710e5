#!/bin/sh
# Import FILE into a SailPoint tenant and wait until it has ended; exits as `spexporter wait` does.
set -eu
: "${1:?usage: pipeline.sh FILE}" "${SAIL_BASE_URL:?}" "${SAIL_CLIENT_ID:?}" "${SAIL_CLIENT_SECRET:?}" "${SPEXPORTER_TENANT:?}"
ask() { body=$(curl -sS --fail-with-body "$@") && printf %s "$body" || { echo "$body" >&2; exit 1; }; }
read_field() { jq -r ".$1 // empty" | grep . || { echo "SailPoint's answer has no $1" >&2; exit 1; }; }
# An import cannot be taken back: without its file, or an exporter that knows the tenant, none is begun.
{ [ -f "$1" ] && [ -r "$1" ] && command -v spexporter; } >/dev/null || { echo "$1 cannot be read, or no spexporter is on the PATH" >&2; exit 1; }
ask "${SPEXPORTER_URL:?}/api/v1/jobs?state=UNKNOWN&tenant=$SPEXPORTER_TENANT" >/dev/null
login="grant_type=client_credentials&client_id=$SAIL_CLIENT_ID"
token=$(printf %s "$SAIL_CLIENT_SECRET" | ask -d "$login" --data-urlencode client_secret@- "$SAIL_BASE_URL/oauth/token" | read_field access_token)
job=$(printf 'Authorization: Bearer %s' "$token" | ask -H @- -F "data=@$1;type=application/json" "$SAIL_BASE_URL/${SAIL_IMPORT_PATH:-sp-config/v1/import}" | read_field jobId)
spexporter track --url "$SPEXPORTER_URL" "$SPEXPORTER_TENANT" import "$job" --name "${1##*/}"
exec spexporter wait --url "$SPEXPORTER_URL" "$SPEXPORTER_TENANT" import "$job" --timeout "${TIMEOUT:-30m}"
