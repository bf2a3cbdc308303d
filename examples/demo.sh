#!/usr/bin/env bash
# Replays the examples into a local Outreach. Usage: demo.sh [path/to/outreach-activation]
#
# The sandbox grants 200 requests every 6 seconds in place of 10,000 every hour, so that the
# budget can be seen at work within a minute.
set -euo pipefail
activate=${1:-outreach-activation}
case "$activate" in */*) activate=$(cd "$(dirname "$activate")" && pwd)/$(basename "$activate") ;; esac
cd "$(dirname "$0")/.."

out=build/demo
rm -rf "$out"
mkdir -p "$out"

"$activate" sandbox --port 0 --limit 200 --hour 6 --prospects_from examples/prospects.jsonl \
	--data "$out/sandbox.json" >"$out/url" 2>"$out/sandbox.log" &
sandbox=$!
stop() { kill "$sandbox" 2>/dev/null && wait "$sandbox" || true; }
trap stop EXIT
until [ -s "$out/url" ]; do
	kill -0 "$sandbox" 2>/dev/null || { cat "$out/sandbox.log" >&2; exit 1; }
	sleep 0.1
done
url=$(head -n 1 "$out/url")
echo "A local Outreach with 420 prospects is at $url while this runs." >&2

sed -e "s|^users:|outreach: {base_url: \"$url\"}\n\nusers:|" \
	-e "s|budget: {.*}|budget: {requests: 200, per_seconds: 6, reserve: 10}|" \
	examples/destination.yaml >"$out/destination.yaml"

status=0
OUTREACH_TOKEN=demo "$activate" replay examples/profiles.jsonl examples/changes.jsonl examples/changes.csv \
	--destination "$out/destination.yaml" --receipts "$out/receipts.jsonl" \
	--dead_letters "$out/dead_letters.jsonl" --summary "$out/summary.json" \
	--report "$out/report.html" >"$out/stdout" || status=$?
stop
trap - EXIT
case "$status" in 0 | 3) ;; *) exit "$status" ;; esac

cat >&2 <<END

Look at
  $out/report.html          what became of each audience, with plots; open it in a browser
  $out/receipts.jsonl       what became of each change
  $out/dead_letters.jsonl   what was refused and why; replay takes this file, too
  $out/sandbox.json         the prospects; on a page: $activate sandbox --data $out/sandbox.json
END
tail -n 1 "$out/stdout"
