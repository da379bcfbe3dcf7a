"""Best values that Optuna's samplers find on test functions: reads one JSON document on stdin, writes one on stdout.

in:  {"cases": [{"function": name, "dimensions": d}], "samplers": [name], "seeds": n, "budget": n}
out: {"versions": {...}, "results": [{"function", "sampler", "values": [one per seed]}]}
The value is the smallest one found, or with two objectives the hypervolume up to (11, 11), negated so that smaller is better.
Functions are those of src/sweeps/functions.ts, on [0,1]^d.
"""
import json
import math
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def scaled(x, low, high):
    return [low + value * (high - low) for value in x]


def sphere(x):
    return sum(value**2 for value in scaled(x, -5.12, 5.12))


def rosenbrock(x):
    z = scaled(x, -5, 10)
    return sum(100 * (z[i + 1] - z[i] ** 2) ** 2 + (z[i] - 1) ** 2 for i in range(len(z) - 1))


def branin(x):
    a, b = 15 * x[0] - 5, 15 * x[1]
    return (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


ALPHA = [1, 1.2, 3, 3.2]
A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]


def hartmann6(x):
    return -sum(ALPHA[i] * math.exp(-sum(A[i][j] * (x[j] - P[i][j]) ** 2 for j in range(6))) for i in range(4))


def ackley(x):
    z, d = scaled(x, -32.768, 32.768), len(x)
    return (
        -20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in z) / d))
        - math.exp(sum(math.cos(2 * math.pi * v) for v in z) / d)
        + 20
        + math.e
    )


def rastrigin(x):
    return 10 * len(x) + sum(v * v - 10 * math.cos(2 * math.pi * v) for v in scaled(x, -5.12, 5.12))


def levy(x):
    w = [1 + (v - 1) / 4 for v in scaled(x, -10, 10)]
    middle = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def zdt1(x):
    g = 1 + 9 * sum(x[1:]) / max(1, len(x) - 1)
    return x[0], g * (1 - math.sqrt(x[0] / g))


FUNCTIONS = {f.__name__: f for f in [sphere, rosenbrock, branin, hartmann6, ackley, rastrigin, levy, zdt1]}


def sampler_of(name, seed):
    return {
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "sobol": lambda: optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed, warn_independent_sampling=False),
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed),
        "tpe-multivariate": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
        "cma-es": lambda: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed, population_size=20),
    }[name]()


def hypervolume(points, reference):
    points = sorted(p for p in points if p[0] < reference[0] and p[1] < reference[1])
    volume, lowest = 0.0, reference[1]
    for a, b in points:
        if b < lowest:
            volume += (reference[0] - a) * (lowest - b)
            lowest = b
    return volume


def run(function, dimensions, name, seed, budget):
    evaluate = FUNCTIONS[function]
    objectives = 2 if function.startswith("zdt") else 1

    def objective(trial):
        return evaluate([trial.suggest_float(f"x{i}", 0, 1) for i in range(dimensions)])

    study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler_of(name, seed))
    study.optimize(objective, n_trials=budget)
    if objectives == 1:
        return study.best_value
    return -hypervolume([t.values for t in study.trials], (11, 11))


request = json.load(sys.stdin)
results = []
for case in request["cases"]:
    for name in request["samplers"]:
        if name == "cma-es" and case["function"].startswith("zdt"):
            continue
        values = [run(case["function"], case["dimensions"], name, seed, request["budget"]) for seed in range(request["seeds"])]
        results.append({"function": case["function"], "sampler": name, "values": values})
        print(case["function"], name, sorted(values)[len(values) // 2], file=sys.stderr, flush=True)
json.dump({"versions": {"optuna": optuna.__version__, "python": sys.version.split()[0]}, "results": results}, sys.stdout)
