#!/bin/sh
# Upgrades a run and a sweep in mid-work from an older commit to this build, process by process, and compares what they end with:
#   npm run build && scripts/check-upgrade.sh [COMMIT]
# COMMIT (default: the newest tag, else the commit before this one) is built below a temporary folder with the node_modules of this
# checkout, so its dependencies must be the same; OLD_BUILD=FOLDER names a checkout that is built already. Takes some minutes. Last line: "upgrade checked", or what differs and exit code 1.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
commit=${1:-$(git -C "$root" describe --tags --abbrev=0 2>/dev/null || echo HEAD~1)}
work=$(mktemp -d)
pids=
finish() {
  for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

say() { echo "check-upgrade: $*" >&2; }
fail() { say "$*"; for log in "$work"/*.log; do echo "--- $log" >&2; tail -n 5 "$log" >&2; done; exit 1; }
# field FILE NAME: a string of a JSON document
field() { node -e 'const { readFileSync } = require("fs"); console.log(JSON.parse(readFileSync(process.argv[1], "utf8"))[process.argv[2]])' "$1" "$2"; }
# start NAME BUILD ARGUMENTS...: in the background, log in NAME.log; its pid is in $last
start() {
  name=$1 build=$2
  shift 2
  node --v8-pool-size=0 "$build/dist/cli/main.js" "$@" >>"$work/$name.out" 2>>"$work/$name.log" &
  last=$!
  pids="$pids $last"
}
# until_count COUNT PATTERN FILE: waits until so many lines of a journal fit
until_count() {
  tries=0
  while [ ! -s "$3" ] || [ "$(grep -c "$2" "$3")" -lt "$1" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 1200 ] || fail "no $1 lines with $2 in $3 after 5 minutes"
    sleep 0.25
  done
}

old=${OLD_BUILD:-$work/old} new=$root
if [ "$old" = "$work/old" ]; then
  say "building $commit"
  mkdir "$old"
  git -C "$root" archive "$commit" | tar x -C "$old"
  ln -s "$root/node_modules" "$old/node_modules"
  (cd "$old" && node node_modules/typescript/bin/tsc -p tsconfig.build.json)
fi
cd "$work"
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')

cat >run.yaml <<END
name: upgrade
data: { source: synthetic, trainSamples: 512, testSamples: 50 }
model: { name: cnn3 }
train: { batchSize: 16, shards: 2, epochs: 100, maxSteps: 600 }
checkpoint: { everySteps: 20 }
evaluation: { everyEpochs: 100, robustSamples: 10, attacks: [fgsm], epsLinf: [0.03] }
cluster: { port: $port, minWorkers: 1, workersLostMs: 120000 }
END

say 'an undisturbed run on the old build'
start whole "$old" train -c run.yaml --workers 1 --set runsFolder=whole --set cluster.port=0 --json
wait "$last" || fail 'the undisturbed run failed'
expected=$(field whole.out weightsSha256)

say 'a run that begins on the old build'
start coordinator "$old" coordinator -c run.yaml --set runsFolder=rolled --json
coordinator=$last
start worker-1 "$old" worker --coordinator "127.0.0.1:$port"
worker1=$last
start worker-2 "$old" worker --coordinator "127.0.0.1:$port"
worker2=$last
while [ ! -s "$(echo rolled/*/journal.jsonl)" ]; do sleep 0.25; done
journal=$(echo rolled/*/journal.jsonl)
until_count 10 step-committed "$journal"

say 'worker 1 of this build in place of the old one, at the old coordinator'
kill -TERM "$worker1"
wait "$worker1" || true
start worker-1 "$new" worker --coordinator "127.0.0.1:$port"
until_count 3 worker-joined "$journal"
until_count 20 step-committed "$journal"

say 'the coordinator: SIGTERM, then this build goes on; the workers come again'
kill -TERM "$coordinator"
wait "$coordinator" || fail 'the old coordinator ended with an error after SIGTERM'
start coordinator "$new" coordinator --resume "$(dirname "$journal")" --json
coordinator=$last
wait "$worker2" || true
start worker-1 "$new" worker --coordinator "127.0.0.1:$port"
start worker-2 "$new" worker --coordinator "127.0.0.1:$port"
wait "$coordinator" || fail 'the upgraded coordinator failed'
got=$(field "$(dirname "$journal")/result.json" weightsSha256)
[ "$got" = "$expected" ] || fail "the upgraded run ended with the weights $got, undisturbed $expected"
node "$new/dist/cli/main.js" audit "$(dirname "$journal")" >audit.log 2>&1 || fail 'the audit of the upgraded run failed'
say "run: the same weights, $expected"

cat >sweep.yaml <<END
name: upgrade
function: branin
functionSeconds: 0.2
space: { x1: { type: float, low: 0, high: 1 }, x2: { type: float, low: 0, high: 1 } }
objectives: [{ name: value }]
rungs: [{ epochs: 1 }, { epochs: 3 }]
sampler: { name: tpe, startup: 5 }
scheduler: { name: asha }
budget: { candidates: 24 }
lanes: 4
END

if ! node "$old/dist/cli/main.js" sweep --help >/dev/null 2>&1; then
  say "sweep: $commit has no sweeps"
  echo 'upgrade checked'
  exit 0
fi
say 'a sweep that begins on the old build and goes on with this one'
node "$old/dist/cli/main.js" sweep -c sweep.yaml --out whole-sweep --workers 2 --json >/dev/null 2>whole-sweep.log || fail 'the undisturbed sweep failed'
start sweep "$old" sweep -c sweep.yaml --out rolled-sweep --workers 2 --json
sweep=$last
until_count 8 trial-measured rolled-sweep/sweep.jsonl
kill -TERM "$sweep"
wait "$sweep" || fail 'the old sweep ended with an error after SIGTERM'
node "$new/dist/cli/main.js" sweep resume rolled-sweep --workers 2 --json >/dev/null 2>resumed-sweep.log || fail 'the upgraded sweep failed'
expected=$(field whole-sweep/sweep.json decisionsSha256)
got=$(field rolled-sweep/sweep.json decisionsSha256)
[ "$got" = "$expected" ] || fail "the upgraded sweep decided otherwise: $got, undisturbed $expected"
say "sweep: the same decisions, $expected"
echo 'upgrade checked'
