#!/usr/bin/env bash
# The part of scripts/check-containers.sh that runs beside the Docker engine, in its root folder and namespaces; not to be called by itself.
# The engine is started twice: for builds in the network of the machine, without a bridge or a rule of its own, and for everything else in an
# empty network namespace, which holds its bridges, its rules and its containers.
set -euo pipefail
group=$1
shift
repository=/mnt/repository
results=/mnt/tools/work/results
export DOCKER_BUILDKIT=1 DOCKER_CLI_HINTS=false
VERSION=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$repository/package.json")
passed=${CHECKS_PASSED:-0}
failed=${CHECKS_FAILED:-0}

# Arguments: name of the check, what was found, what was expected (a pattern of [[ ]]).
expect() {
  # shellcheck disable=SC2053
  if [[ $2 == $3 ]]; then
    passed=$((passed + 1))
    echo "ok      $1: $2"
  else
    failed=$((failed + 1))
    echo "FAILED  $1: expected $3, got $2"
  fi
}

start_engine() {
  dockerd --cgroup-parent="/$group" --log-level error "$@" >>"$results/engine.log" 2>&1 &
  engine=$!
  for _ in $(seq 300); do
    docker version >/dev/null 2>&1 && return
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.2
  done
  echo "check-containers: the Docker engine does not start: $(tail -3 "$results/engine.log")" >&2
  exit 1
}

stop_engine() {
  kill "$engine"
  wait "$engine" || true
}

# --- build -----------------------------------------------------------------------------------------------------------------------------------

build() {
  local target=$1 started=$SECONDS
  shift
  if ! docker build --progress plain --network host -f "$repository/deploy/Dockerfile" --target "$target" -t "deepdefense/$target:$VERSION" "$@" \
    "$repository" >"$results/build-$target.log" 2>&1; then
    tail -25 "$results/build-$target.log" >&2
    return 1
  fi
  echo "built $target in $((SECONDS - started)) s"
}

size_of() { # image: megabytes unpacked, and as gzip layers
  local bytes zipped
  bytes=$(docker image inspect --format '{{.Size}}' "$1")
  zipped=$(docker save "$1" | gzip -6 | wc -c)
  echo "$((bytes / 1000000)) MB, compressed $((zipped / 1000000)) MB"
}

# Every file of every layer: mode, owner, time and name, and the digest of what is in it.
listing() {
  local folder layer
  folder=$(mktemp -d)
  docker save "$1" | tar -x -C "$folder"
  for layer in "$folder"/*/layer.tar; do
    mkdir "$folder/files"
    tar -x -p -C "$folder/files" -f "$layer"
    (cd "$folder/files" && find . -mindepth 1 -printf '%p %M %U:%G %Tc %l\n' && find . -type f -exec sha256sum {} +)
    rm -rf "$folder/files"
  done | sort
  rm -rf "$folder"
}

layers_of() { docker image inspect --format '{{join .RootFS.Layers " "}}' "$1"; }

stand_in() { # name, entry point, user
  local id
  id=$(docker create services:stand-in true)
  docker commit --change "ENTRYPOINT [\"$2\"]" --change 'CMD []' --change "USER $3" "$id" "$1:stand-in" >/dev/null
  docker rm "$id" >/dev/null
}

part_build() {
  local stand_ins=/mnt/tools/work/stand-ins name target
  for name in NODE DEBIAN; do
    local image
    image=$(sed -n "s/^ARG ${name}_IMAGE=//p" "$repository/deploy/Dockerfile")
    # Imported again it would be another layer, and nothing of an earlier build could be used.
    if docker image inspect "$image" >/dev/null 2>&1; then continue; fi
    local change=()
    if [ "$name" = NODE ]; then change=(--change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt'); fi
    tar -C "$stand_ins/${name,,}" -c . | docker import "${change[@]}" - "$image" >/dev/null
    echo "stand-in $image: $(size_of "$image")"
  done
  # NATS and Prometheus of Debian, in the place of their images.
  printf 'FROM %s\nRUN apt-get update && apt-get install --yes --no-install-recommends nats-server prometheus wget && mkdir /prometheus && chown nobody /prometheus\n' \
    "$(sed -n 's/^ARG DEBIAN_IMAGE=//p' "$repository/deploy/Dockerfile")" | docker build --network host --tag services:stand-in - >"$results/build-services.log" 2>&1
  stand_in nats /usr/sbin/nats-server root
  stand_in prometheus /usr/bin/prometheus nobody
  for target in coordinator worker-cpu worker-vulkan; do
    build "$target" && passed=$((passed + 1)) || failed=$((failed + 1))
  done
  # Of these the stages that need neither CUDA nor its libraries; the rest of the file is parsed with them.
  for target in coordinator worker-cpu worker-vulkan; do
    echo "size $target: $(size_of "deepdefense/$target:$VERSION")"
    docker run --rm --network none --entrypoint /usr/local/bin/node "deepdefense/$target:$VERSION" -e '
      const { components } = JSON.parse(require("node:fs").readFileSync("/sbom.cdx.json", "utf8"));
      const count = (prefix) => components.filter(({ purl }) => purl?.startsWith(prefix)).length;
      console.log("bill of materials:", count("pkg:npm/"), "npm packages,", count("pkg:deb/"), "Debian packages");'
  done
}

# Slow: installs everything again.
part_rebuild() {
  local first name
  first=$(layers_of "deepdefense/coordinator:$VERSION")
  docker tag "deepdefense/coordinator:$VERSION" deepdefense/coordinator:first
  build coordinator --no-cache
  expect 'coordinator built twice: layers' "$(layers_of "deepdefense/coordinator:$VERSION")" "$first"
  if [ "$(layers_of "deepdefense/coordinator:$VERSION")" != "$first" ]; then
    for name in first "$VERSION"; do listing "deepdefense/coordinator:$name" >"$results/files-$name.txt"; done
    diff "$results/files-first.txt" "$results/files-$VERSION.txt" | head -20 || true
  fi
  # A tensor package in the coordinator's folder must stop its build.
  local wrong=/tmp/wrong
  mkdir -p $wrong/deploy && sed 's/--omit=dev --omit=optional/--omit=dev/' "$repository/deploy/Dockerfile" >$wrong/Dockerfile
  docker build --network host -f $wrong/Dockerfile --target coordinator "$repository" >"$results/build-wrong.log" 2>&1 && first=built || first=refused
  expect 'coordinator with tensor packages: build' "$first: $(grep -o '"[^"]*" is a tensor package' "$results/build-wrong.log" | sort -u | head -1)" 'refused: * is a tensor package'
}

# --- run -------------------------------------------------------------------------------------------------------------------------------------

# As deploy/compose.yaml and the manifests for Kubernetes run them.
SAFE=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --pids-limit 256)

run() { # name, image, docker's options, --, command's arguments
  local name=$1 image=$2 options=()
  shift 2
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  docker rm -f "$name" >/dev/null 2>&1 || true
  docker run -d --name "$name" --hostname "$name" --network deepdefense "${SAFE[@]}" "${options[@]}" "deepdefense/$image:$VERSION" "$@" >/dev/null
}

address_of() { docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }
state_of() { docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1"; }
in_network_of() { nsenter --net="/proc/$(docker inspect --format '{{.State.Pid}}' "$1")/ns/net" "${@:2}"; }

wait_until() { # seconds, command
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.2
  done
}
ended() { [[ $(state_of "$1") == exited* ]]; }
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }
http() { # name, path: answer of a container, from outside of it
  (
    exec 3<>"/dev/tcp/$(address_of "$1")/9464" || exit 1
    printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
    head -c 2000 <&3
  ) 2>/dev/null
}
ready() { http "$1" /readyz | grep -q '200 OK'; }
live() { http "$1" /livez | grep -q '200 OK'; }

volume() { docker volume rm -f "$1" >/dev/null 2>&1 || true; docker volume create "$1" >/dev/null; }

certs() { docker run --rm --network none "${SAFE[@]}" -v certs:/certs "deepdefense/coordinator:$VERSION" certs "$@" >/dev/null; }
make_certificates() {
  volume certs
  certs init /certs
  certs issue /certs --role coordinator --name main
  certs issue /certs --role worker --name one
  certs issue /certs --role worker --name two
  certs issue /certs --role nats --name main --host nats
}

part_images() {
  local target
  for target in coordinator worker-cpu; do
    run probe "$target" --entrypoint /usr/bin/tini -- -- /usr/local/bin/node -e 'setInterval(() => {}, 1000)'
    expect "$target: process 1" "$(docker exec probe /usr/local/bin/node -p 'fs.readFileSync("/proc/1/comm", "utf8").trim()')" tini
    expect "$target: user and capabilities" "$(docker exec probe /usr/local/bin/node -p '
      const status = (id) => Object.fromEntries(fs.readFileSync(`/proc/${id}/status`, "utf8").split("\n").map((line) => line.split(":\t")));
      const { Uid, Gid, CapEff, NoNewPrivs } = status(1); [Uid.split("\t")[1], Gid.split("\t")[1], CapEff, NoNewPrivs].join(" ")')" '10001 10001 0000000000000000 1'
    expect "$target: writes outside of volumes" "$(docker exec probe /usr/local/bin/node -p '
      ["/app/x", "/etc/x", "/runs/x", "/tmp/x"].map((path) => { try { fs.writeFileSync(path, ""); return "yes"; } catch (error) { return error.code; } }).join(" ")')" 'EROFS EROFS EROFS yes'
    docker rm -f probe >/dev/null
    local command began times=()
    for _ in 1 2 3 4 5; do
      began=${EPOCHREALTIME/./}
      docker run --rm --network none "${SAFE[@]}" "deepdefense/$target:$VERSION" --version >/dev/null
      times+=($(((${EPOCHREALTIME/./} - began) / 1000)))
    done
    echo "$target: docker run --version took ${times[*]} ms"
  done
  # Every user id works, also without an account in the image.
  expect 'worker-cpu as user 987654: doctor' "$(docker run --rm --network none "${SAFE[@]}" --user 987654:0 --tmpfs /runs --tmpfs /cache \
    "deepdefense/worker-cpu:$VERSION" doctor 2>&1 | grep -c 'onnx:cpu')" '[1-9]*'
  for command in --version 'config presets' 'certs --help' 'sweep --help' 'audit --help' 'report --help'; do
    # shellcheck disable=SC2086
    docker run --rm --network none "${SAFE[@]}" "deepdefense/coordinator:$VERSION" $command >/dev/null 2>&1 && code=0 || code=$?
    expect "coordinator: $command" "$code" 0
  done
  for command in 'worker --coordinator 127.0.0.1:1' 'train --preset smoke --workers 1' doctor 'bench --profile'; do
    # shellcheck disable=SC2086
    docker run --rm --network none "${SAFE[@]}" --tmpfs /runs "deepdefense/coordinator:$VERSION" $command >/tmp/output 2>&1 && code=0 || code=$?
    expect "coordinator: $command" "$code $(grep -c 'deepdefense/worker-cpu' /tmp/output)" '6 [1-9]'
  done
}

# A coordinator and two workers, each in a network namespace of its own, with mutual TLS.
start_training() {
  run coordinator coordinator -v runs:/runs -v certs:/certs:ro -v "$repository/scripts/containers/train.yaml:/train.yaml:ro" -e DEEPDEFENSE_CERTS=/certs/coordinator-main \
    -- coordinator -c /train.yaml --set cluster.host=0.0.0.0 --set cluster.port=50051 --set cluster.httpPort=9464 "$@"
}
start_worker() { # name of the container and of its certificate
  run "$1" worker-cpu --tmpfs /cache -v certs:/certs:ro -e "DEEPDEFENSE_CERTS=/certs/worker-$2" \
    -- worker --coordinator coordinator:50051 --http-host 0.0.0.0 --http-port 9464
}
# The last committed step in the journal.
step() {
  docker exec coordinator /usr/local/bin/node -p '
    const [run] = fs.readdirSync("/runs/runs");
    Math.max(0, ...[...fs.readFileSync(`/runs/runs/${run}/journal.jsonl`, "utf8").matchAll(/"type":"step-committed","step":(\d+)/g)].map((found) => Number(found[1])));' 2>/dev/null || echo 0
}
reached() { [ "$(step)" -ge "$1" ]; }
json() { node_in_image "JSON.parse(fs.readFileSync(0, 'utf8')).$1"; }
node_in_image() { docker run --rm -i --network none --entrypoint /usr/local/bin/node "deepdefense/coordinator:$VERSION" -p "$1"; }

part_train() {
  local expected began name
  expected=$(json weightsSha256 <"$results/host-train.json")
  make_certificates
  volume runs
  # Two workers are needed and one is there, so that no step is computed while the containers are looked at.
  began=${EPOCHREALTIME/./}
  start_training --min-workers 2
  wait_until 120 live coordinator && echo "coordinator: live $(((${EPOCHREALTIME/./} - began) / 1000)) ms after docker run"
  began=${EPOCHREALTIME/./}
  start_worker worker-1 one
  wait_until 120 live worker-1 && echo "worker: live $(((${EPOCHREALTIME/./} - began) / 1000)) ms after docker run"
  wait_until 60 healthy coordinator || true
  wait_until 60 healthy worker-1 || true
  expect 'health checks' "$(for name in coordinator worker-1; do docker inspect --format '{{.State.Health.Status}}' $name; done | sort -u)" healthy
  # A worker without a certificate is kept out.
  run stranger worker-cpu --tmpfs /cache -- worker --coordinator coordinator:50051
  wait_until 120 ready worker-1 || true
  sleep 10
  expect 'worker without a certificate: coordinator' "$(http coordinator /readyz | tail -1)" '* 1 workers are ready*'
  docker rm -f stranger coordinator worker-1 >/dev/null

  volume runs
  start_training --min-workers 1
  start_worker worker-1 one
  start_worker worker-2 two
  expect 'network namespaces' "$(for name in coordinator worker-1 worker-2; do readlink "/proc/$(docker inspect --format '{{.State.Pid}}' $name)/ns/net"; done | sort -u | wc -l)" 3
  wait_until 120 reached 5 || true
  # Cut one worker off the coordinator: its leases end after 3 s, and the other goes on.
  local before
  in_network_of worker-2 iptables -A INPUT -s "$(address_of coordinator)" -j DROP
  in_network_of worker-2 iptables -A OUTPUT -d "$(address_of coordinator)" -j DROP
  sleep 4
  before=$(step)
  wait_until 60 reached $((before + 5)) && name=yes || name=no
  expect 'one worker cut off: steps go on' "$name" yes
  in_network_of worker-2 iptables -F
  # SIGTERM: code 0 within the grace time, with a checkpoint; then another container goes on in the same folder.
  before=$(step)
  began=$SECONDS
  docker stop -t 30 coordinator >/dev/null
  expect "SIGTERM after step $before: state after $((SECONDS - began)) s" "$(state_of coordinator)" 'exited 0'
  docker logs coordinator >"$results/coordinator-1.log" 2>&1
  local folder
  folder=$(docker run --rm --network none -v runs:/runs:ro --entrypoint /usr/local/bin/node "deepdefense/coordinator:$VERSION" -p 'fs.readdirSync("/runs/runs")[0]')
  expect 'checkpoints' "$(docker run --rm --network none -v runs:/runs:ro --entrypoint /usr/local/bin/node "deepdefense/coordinator:$VERSION" -p "fs.readdirSync('/runs/runs/$folder/checkpoints').at(-1)")" 'step-*.safetensors'
  run coordinator coordinator -v runs:/runs -v certs:/certs:ro -e DEEPDEFENSE_CERTS=/certs/coordinator-main \
    -- coordinator --resume "/runs/runs/$folder" --set cluster.host=0.0.0.0 --set cluster.port=50051 --set cluster.httpPort=9464 --json
  # A coordinator that stops sends its workers home.
  for name in worker-1 worker-2; do
    wait_until 30 ended $name || true
    expect "$name after SIGTERM of the coordinator" "$(state_of $name)" 'exited 0'
  done
  start_worker worker-1 one
  start_worker worker-2 two
  wait_until 300 ended coordinator || true
  docker logs coordinator >"$results/coordinator.json" 2>"$results/coordinator-2.log"
  expect 'resumed coordinator' "$(state_of coordinator)" 'exited 0'
  expect 'weights as without containers' "$(json weightsSha256 <"$results/coordinator.json")" "$expected"
  for name in worker-1 worker-2; do
    wait_until 60 ended "$name" || true
    expect "$name at the end" "$(state_of $name)" 'exited 0'
    docker logs $name >"$results/$name.log" 2>&1
  done
  expect 'audit in the image of the coordinator' "$(docker run --rm --network none "${SAFE[@]}" -v runs:/runs:ro "deepdefense/coordinator:$VERSION" audit "/runs/runs/$folder" >"$results/audit.log" 2>&1; echo $?)" 0
}

# --- sweep on NATS ---------------------------------------------------------------------------------------------------------------------------

part_sweep() {
  local expected name
  expected=$(json decisionsSha256 <"$results/host-sweep.json")
  make_certificates
  for name in sweeps trials nats; do volume $name; done
  docker rm -f nats >/dev/null 2>&1 || true
  docker run -d --name nats --hostname nats --network deepdefense "${SAFE[@]}" --user 10001:10001 -v nats:/var/tmp -v certs:/certs:ro \
    -v "$repository/deploy/nats:/etc/nats:ro" -e NATS_SERVER_NAME=nats -e NATS_STORE=/var/tmp -e NATS_MAX_FILE_STORE=1G \
    -e NATS_CA=/certs/nats-main/ca.pem -e NATS_CERT=/certs/nats-main/cert.pem -e NATS_KEY=/certs/nats-main/key.pem \
    nats:stand-in --config /etc/nats/nats.conf >/dev/null
  run sweep coordinator -v sweeps:/runs -v certs:/certs:ro -v "$repository/examples/sweep-synthetic.yaml:/sweep.yaml:ro" -e DEEPDEFENSE_CERTS=/certs/coordinator-main \
    -- sweep -c /sweep.yaml --nats tls://nats:4222 --id containers --out /runs/containers --workers 0 --host 0.0.0.0 --port 50051 --http-port 9464 --json
  for name in one two; do
    run sweep-worker-$name worker-cpu --tmpfs /cache -v trials:/trials -v certs:/certs:ro -e DEEPDEFENSE_CERTS=/certs/worker-$name \
      -- worker --nats tls://nats:4222 --sweep containers --trials-folder /trials
  done
  wait_until 120 live sweep || true
  # The machine of NATS is gone for a while; nothing is lost.
  sleep 10
  docker restart -t 5 nats >/dev/null
  wait_until 600 ended sweep || true
  docker logs sweep >"$results/sweep.json" 2>"$results/sweep.log"
  docker logs nats >"$results/nats.log" 2>&1
  expect 'sweep on NATS' "$(state_of sweep)" 'exited 0'
  expect 'decisions as without containers and without NATS' "$(json decisionsSha256 <"$results/sweep.json")" "$expected"
  for name in one two; do
    docker stop -t 30 sweep-worker-$name >/dev/null
    docker logs sweep-worker-$name >"$results/sweep-worker-$name.log" 2>&1
    expect "sweep worker $name" "$(state_of sweep-worker-$name)" 'exited 0'
  done
}

# The real file, but for its line "name", which Debian's Docker Compose 1.29 doesn't know, and with stand-ins for NATS and Prometheus;
# an image of Grafana is not to be had.
compose() { docker-compose --project-name deepdefense --project-directory "$repository/deploy" -f /tmp/compose.yaml "$@"; }

compose_up() { # options of compose
  compose "$@" up --detach --no-build coordinator worker nats prometheus >>"$results/compose.log" 2>&1 || tail -5 "$results/compose.log"
}

compose_down() { # name of the log
  compose logs --no-color >"$results/$1.log" 2>&1
  compose down --volumes --timeout 30 >>"$results/compose.log" 2>&1
}

part_compose() {
  sed '/^name:/d' "$repository/deploy/compose.yaml" >/tmp/compose.yaml
  compose config --quiet && passed=$((passed + 1)) || failed=$((failed + 1))
  local name arguments
  for name in nats prometheus; do docker tag "$name:stand-in" "$(sed -n "/^  $name:/,/^  [a-z]*:$/s/^    image: //p" "$repository/deploy/compose.yaml" | head -1)"; done
  # Its own run, but long enough to see every part become healthy.
  arguments=$(sed -n 's/^ *command: ${COORDINATOR_ARGS:-\(.*\)}$/\1/p' "$repository/deploy/compose.yaml" | head -1)
  COORDINATOR_ARGS="$arguments --set train.epochs=20" compose_up
  wait_until 120 healthy deepdefense_coordinator_1 || true
  for name in prometheus_1 worker_1 worker_2; do wait_until 60 healthy deepdefense_$name || true; done
  expect 'compose: health' "$(docker ps --filter label=com.docker.compose.project=deepdefense --format '{{.Names}} {{.Status}}' | sed -E 's/deepdefense_([a-z]+)_[0-9]+ .*[(](health: )?(.*)[)]/\1=\3/' | sort | tr '\n' ' ')" \
    'coordinator=healthy nats=healthy prometheus=healthy worker=healthy worker=healthy '
  wait_until 600 ended deepdefense_coordinator_1 || true
  expect 'compose: coordinator' "$(state_of deepdefense_coordinator_1)" 'exited 0'
  expect 'compose: targets that Prometheus has seen' "$(docker exec deepdefense_prometheus_1 wget -qO- 'http://127.0.0.1:9090/api/v1/query?query=count(count_over_time(up%5B10m%5D))' || true)" '*"value":*'
  compose_down compose-run
  compose_up --env-file "$repository/deploy/sweep.env"
  wait_until 600 ended deepdefense_coordinator_1 || true
  expect 'compose with sweep.env: coordinator' "$(state_of deepdefense_coordinator_1)" 'exited 0'
  expect 'compose with sweep.env: decisions as without containers and without NATS' \
    "$(docker cp deepdefense_coordinator_1:/runs/compose/sweep.json - 2>/dev/null | tar -xO | json decisionsSha256 || true)" "$(json decisionsSha256 <"$results/host-sweep.json")"
  compose_down compose-sweep
}

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

# What a node runs, as one archive for its containerd: services under the names that the manifests have.
save_node_images() {
  local nats
  nats=$(sed -n 's/^ *image: \(nats:.*\)/\1/p' "$repository/k8s/base/nats/stateful-set.yaml")
  docker tag nats:stand-in "$nats"
  printf 'FROM %s\nENTRYPOINT ["sleep", "infinity"]\n' "$(sed -n 's/^ARG DEBIAN_IMAGE=//p' "$repository/deploy/Dockerfile")" |
    docker build --tag deepdefense/pause:stand-in - >"$results/build-pause.log" 2>&1
  docker save --output /mnt/tools/work/node-images.tar "deepdefense/coordinator:$VERSION" "deepdefense/worker-cpu:$VERSION" "$nats" deepdefense/pause:stand-in
}

if [ "${1:-}" = --network ]; then
  shift
  ip link set lo up
  start_engine
  trap 'docker ps -aq | xargs -r docker rm -f >/dev/null 2>&1; stop_engine' EXIT
  docker network create deepdefense >/dev/null 2>&1 || true
  for part in "$@"; do
    echo "=== $part"
    # Containers of the part before, or of a call that was killed, keep their volumes from being made anew.
    docker ps -aq | xargs -r docker rm -f >/dev/null 2>&1
    case "$part" in
      build) part_images ;;
      rebuild) ;;
      *) "part_$part" ;;
    esac
  done
  finish
else
  if [[ " $* " == *' build '* ]]; then
    start_engine --bridge=none --iptables=false --ip-forward=false --ip-masq=false
    part_build
    stop_engine
  fi
  if [[ " $* " == *' rebuild '* ]]; then
    start_engine --bridge=none --iptables=false --ip-forward=false --ip-masq=false
    part_rebuild
    stop_engine
  fi
  code=0 others=()
  for part in "$@"; do [ "$part" = node ] || others+=("$part"); done
  if [ ${#others[@]} -gt 0 ]; then
    CHECKS_PASSED=$passed CHECKS_FAILED=$failed unshare --net bash "$0" "$group" --network "${others[@]}" || code=$?
  fi
  if [[ " $* " == *' node '* ]]; then
    start_engine --bridge=none --iptables=false --ip-forward=false --ip-masq=false
    save_node_images
    stop_engine
    echo '=== node'
    unshare --net bash "$repository/scripts/containers/node.sh" "$group" || code=$?
  fi
  exit "$code"
fi
