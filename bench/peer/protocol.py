"""The line protocol of the peers: one JSON object per line on stdin, one per line on stdout.

  {"command": "hello"}                       -> versions
  {"command": "setup", "model", "task", "batch", "parameters"?, "images"?, "labels"?, "noise"?, "device"?, "variant"?, ...}
                                             -> {"parameters": count}
  {"command": "check"}                       -> {"loss", "gradientNorm"}: of the given batch, parameters untouched
  {"command": "step"}                        -> {"ms", "cpuMs"}: wall and processor time of one whole step, parameters updated
  {"command": "memory"}                      -> {"peakMiB"}: highest resident memory of this process
  {"command": "quit"}

Errors are answered with {"error": text}. Tensors come as files of raw little-endian float32 (labels: int32) values;
parameters in PyTorch's own order and layouts, images as [N,3,32,32] in [0,1], noise as [N,3,32,32] in [-1,1].

A step is what a user would write: forward, loss, backward, optimiser step.
  plain  softmax cross-entropy, mean over the batch
  gfa    plus sum over conv1..conv3 of weight * mean(1 - c^2), c = cosine of a sample's feature (after ReLU, before
         pooling) and the gradient of its own loss by that feature; differentiated twice
  inference  logits and loss without gradients; `check` gives the norm of the logits as gradientNorm
  pgd7   cross-entropy on examples from 7 L-infinity PGD steps with a random start (Madry et al. 2018)
"""
import json
import resource
import sys
import time


def peak_mib():
    """Highest resident memory in MiB. Linux's ru_maxrss also counts the process that forked this one, VmHWM doesn't."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def missing(package, failure):
    """Says that the framework isn't there, and ends."""
    print(json.dumps({"error": f"no-{package}", "detail": str(failure)}), flush=True)
    sys.exit(3)


def timed(step):
    """Wall and processor milliseconds of `step`, which must have computed everything when it returns."""
    begin, cpu_begin = time.perf_counter(), time.process_time()
    step()
    return {"ms": (time.perf_counter() - begin) * 1e3, "cpuMs": (time.process_time() - cpu_begin) * 1e3}


def serve(versions, make_bench):
    """Answers requests until `quit`. `make_bench(request)` gives an object with parameter_count(), check() and step()."""
    bench = None
    for line in sys.stdin:
        request = json.loads(line)
        command = request["command"]
        if command == "quit":
            return
        try:
            if command == "hello":
                reply = versions
            elif command == "setup":
                bench = make_bench(request)
                reply = {"parameters": bench.parameter_count()}
            elif command == "check":
                reply = bench.check()
            elif command == "step":
                reply = timed(bench.step)
            elif command == "memory":
                reply = {"peakMiB": peak_mib()}
            else:
                raise ValueError(f"unknown command {command!r}")
        except Exception as failure:  # noqa: BLE001  any failure must reach the other side of the pipe
            reply = {"error": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(reply), flush=True)
