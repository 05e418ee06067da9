#!/usr/bin/env python3
"""What a run costs that has little or nothing to do: ours, and such peers as are installed.

    python3 bench/pipeline/bench.py [--hearsight bin/hearsight] [--tools ours make ninja ...] [--cases noop items big bare]

noop   n stages that each copy a file (fan: of their own; chain: of the one before), run once and then three times more.
       10,000 stages of ours also without the plan that it keeps. DVC's cold run is quadratic (it writes dvc.lock again
       after each stage): from 1,000 stages on it is given the state that it would have
items  10,000 files of 10 KB through `cp`: nothing changed, one edited, all touched, one added; and how many were done again.
       make and ninja have a stage a file; DVC and Snakemake one stage over the folder, as their users write it
big    one input of 2 GiB: hashed beside sha256sum, and not again
bare   what a cold trivial stage costs beyond starting the same command without us

Figures are CPU seconds, user and system, of the whole tree of processes but those that outlive it, wall seconds, and the
memory of the largest process. On a shared machine compare CPU. Of several runs the best is printed. Peers are set up as
their manuals say, a stage a file where they have no items.
"""
import argparse, hashlib, os, random, shutil, signal, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
PEERS = {"ninja": ["ninja", "--quiet"], "make": ["make", "-s", "-j2"], "doit": ["doit", "run", "-v0"], "task": ["task", "--silent"],
         "dvc": ["dvc", "repro", "-q"], "snakemake": ["snakemake", "-c2", "-q", "all"]}


class Left(Exception):
    """Why a run gave no figures."""


def measure(argv, cwd):
    """CPU s, wall s and MB of a command, which must succeed within LIMIT seconds."""
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        p = subprocess.Popen(argv, cwd=cwd, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

        def late(*_):
            os.killpg(p.pid, signal.SIGKILL)

        signal.signal(signal.SIGALRM, late)
        signal.alarm(LIMIT)
        _, status, use = os.wait4(p.pid, 0)
        signal.alarm(0)
        wall = time.monotonic() - began
        if wall >= LIMIT:
            raise Left(f"over {LIMIT} s, stopped")
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode:
            log.seek(0)
            said = log.read().decode(errors="replace").strip()
            if argv[0] == OURS:
                sys.exit(f"{' '.join(argv)} in {cwd}: exit {p.returncode}\n{said[-2000:]}")
            raise Left(f"exit {p.returncode}: {said[-100:].splitlines()[-1:]}")
    return use.ru_utime + use.ru_stime, wall, use.ru_maxrss / 1024


def best(argv, cwd, times=3):
    return min(measure(argv, cwd) for _ in range(times))


def line(case, tool, figures, note=""):
    cpu, wall, mb = figures
    print(f"{case:34} {tool:10} {cpu:9.3f} {wall:9.3f} {mb:7.0f}  {note}", flush=True)


def write(path, text, mode="w"):
    with open(path, mode) as f:
        f.write(text)


def stages(tool, shape, n, d, size=32):
    """Writes a pipeline of n stages that copy a file each."""
    os.makedirs(d + "/in")
    os.makedirs(d + "/out")
    rnd = random.Random(1)
    for i in range(n if shape == "fan" else 1):
        write(f"{d}/in/{i}.txt", b"%08d" % i + rnd.randbytes(size - 8), "wb")
    fan = shape == "fan"
    src = lambda i: f"in/{i}.txt" if fan or i == 0 else f"out/{i-1}.txt"
    every = range(n)
    if tool == "ours":
        own = '  s{0}: {{kind: exec, with: {{command: [cp, "{{files}}", "{{out}}/x"], files: in/{0}.txt, outputs: [x]}}}}\n'
        # Every stage of the chain has another key, though they all have the same bytes.
        after = '  s{0}: {{kind: exec, in: s{1}, with: {{command: [cp, "{{in.0}}/x", "{{out}}/x"], outputs: [x], env: {{N: "{0}"}}}}}}\n'
        write(d + "/pipeline.yaml", "version: 1\nstages:\n" + "".join(own.format(i) if fan or i == 0 else after.format(i, i - 1) for i in every))
    elif tool == "ninja":
        write(d + "/build.ninja", "rule cp\n  command = cp $in $out\n" + "".join(f"build out/{i}.txt: cp {src(i)}\n" for i in every))
    elif tool == "make":
        write(d + "/Makefile", "all: " + " ".join(f"out/{i}.txt" for i in every) + "\n" + "".join(f"out/{i}.txt: {src(i)}\n\tcp $< $@\n" for i in every))
    elif tool == "doit":
        write(d + "/dodo.py", f"""def task_cp():
    for i in range({n}):
        src = f"in/{{i}}.txt" if {fan} or i == 0 else f"out/{{i-1}}.txt"
        yield dict(name=str(i), file_dep=[src], targets=[f"out/{{i}}.txt"], actions=[f"cp {{src}} out/{{i}}.txt"])
""")
    elif tool == "task":
        s = 'version: "3"\ntasks:\n  default:\n    deps:\n' + ("".join(f"    - s{i}\n" for i in every) if fan else f"    - s{n-1}\n")
        for i in every:
            s += f"  s{i}:\n" + (f"    deps: [s{i-1}]\n" if not fan and i else "") + f"    sources: [{src(i)}]\n    generates: [out/{i}.txt]\n    cmds: [cp {src(i)} out/{i}.txt]\n"
        write(d + "/Taskfile.yml", s)
    elif tool == "dvc":
        write(d + "/dvc.yaml", "stages:\n" + "".join(f"  s{i}:\n    cmd: cp {src(i)} out/{i}.txt\n    deps: [{src(i)}]\n    outs: [out/{i}.txt]\n" for i in every))
        dvc_init(d)
        if n >= 1000:
            dvc_state(d, every, src)
    elif tool == "snakemake":
        dep = '"in/{i}.txt"' if fan else 'lambda w: "in/0.txt" if w.i == "0" else f"out/{int(w.i)-1}.txt"'
        want = f'expand("out/{{i}}.txt", i=range({n}))' if fan else f'"out/{n-1}.txt"'
        write(d + "/Snakefile", f'rule all:\n    input: {want}\nrule cp:\n    input: {dep}\n    output: "out/{{i}}.txt"\n    shell: "cp {{input}} {{output}}"\n')


def dvc_init(d):
    for a in (["init", "-q", "--no-scm"], ["config", "core.analytics", "false"], ["config", "core.check_update", "false"]):
        subprocess.run(["dvc"] + a, cwd=d, check=True)


def dvc_state(d, every, src):
    """What DVC has after a full run: outputs, dvc.lock and its cache."""
    lock = "schema: '2.0'\nstages:\n"
    for i in every:
        with open(f"{d}/{src(i)}", "rb") as f:
            data = f.read()
        md5 = hashlib.md5(data).hexdigest()
        file = f"hash: md5\n      md5: {md5}\n      size: {len(data)}\n"
        lock += f"  s{i}:\n    cmd: cp {src(i)} out/{i}.txt\n    deps:\n    - path: {src(i)}\n      {file}    outs:\n    - path: out/{i}.txt\n      {file}"
        write(f"{d}/out/{i}.txt", data, "wb")
        cached = f"{d}/.dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
        os.makedirs(os.path.dirname(cached), exist_ok=True)
        if not os.path.exists(cached):
            write(cached, data, "wb")
            os.chmod(cached, 0o444)
    write(d + "/dvc.lock", lock)


def tried(case, tool, argv, cwd, times=1, note=""):
    """Measures and prints; None if there were no figures."""
    try:
        figures = min(measure(argv, cwd) for _ in range(times))
    except Left as why:
        print(f"{case:34} {tool:10} {why}", flush=True)
        return None
    line(case, tool, figures, note)
    return figures


def noop(work, tools, sizes):
    for n in sizes:
        for shape in ("fan", "chain"):
            for tool in tools:
                if tool in ("dvc", "snakemake", "doit", "task") and n > 1000 or tool == "snakemake" and shape == "chain" and n >= 1000:
                    continue  # hours, or a RecursionError
                d = f"{work}/{tool}-{shape}-{n}"
                os.makedirs(d)
                stages(tool, shape, n, d)
                if tool == "dvc" and n >= 1000 or tried(f"cold {shape} {n}", tool, command[tool], d):
                    tried(f"nothing changed {shape} {n}", tool, command[tool], d, 3)
                if tool == "ours" and n >= 10000:
                    shutil.rmtree(d + "/.hearsight/plans")
                    tried(f"nothing changed {shape} {n}, no plan", tool, command[tool], d, note="asked for: 2.5 s, 500 MB")
                shutil.rmtree(d)


def whole(tool, d):
    """One stage over the folder, each file by a command of its own."""
    write(d + "/each.sh", "mkdir -p out; for f in in/*.txt; do cp $f out/; done\n")
    if tool == "dvc":
        shutil.rmtree(d + "/out")
        write(d + "/dvc.yaml", "stages:\n  all:\n    cmd: sh each.sh\n    deps: [in, each.sh]\n    outs: [out]\n")
        dvc_init(d)
    else:
        shutil.rmtree(d + "/out")
        write(d + "/Snakefile", 'import glob\nrule all:\n    input: sorted(glob.glob("in/*.txt"))\n    output: directory("out")\n    shell: "sh each.sh"\n')


def items(work, tools, n):
    for tool in tools:
        if tool in ("doit", "task"):
            continue
        d = f"{work}/items-{tool}"
        os.makedirs(d)
        stages("ours" if tool in ("dvc", "snakemake") else tool, "fan", n, d, 10240)
        if tool == "ours":
            write(d + "/pipeline.yaml", 'version: 1\nstages:\n  copies: {kind: exec_each, with: {command: [cp, "{item}", "{out}"], folder: in}}\n')
        elif tool in ("dvc", "snakemake"):
            whole(tool, d)
        if not tried(f"items {n} cold", tool, command[tool], d):
            continue
        tried(f"items {n} nothing changed", tool, command[tool], d, 3)

        def redone(mark):
            if tool == "ours":
                last = max(os.listdir(d + "/.hearsight/runs"))
                with open(f"{d}/.hearsight/runs/{last}/journal.jsonl") as f:
                    return f.read().count('"type":"item_finished"')
            return sum(e.stat().st_mtime_ns > mark for e in os.scandir(d + "/out"))

        def step(what, change):
            time.sleep(2.1)  # or stamps are too fresh to be trusted, by anyone
            change()
            mark = time.time_ns()
            time.sleep(2.1)
            figures = measure(command[tool], d)
            line(f"items {n} {what}", tool, figures, f"{redone(mark)} done again")

        step("one edited", lambda: write(f"{d}/in/{n//2}.txt", os.urandom(10240), "wb"))
        step("all touched", lambda: [os.utime(e.path) for e in os.scandir(d + "/in")])
        if tool == "ours":
            step("one added", lambda: write(f"{d}/in/00new.txt", os.urandom(10240), "wb"))
        shutil.rmtree(d)


def big(work, gib):
    d = work + "/big"
    os.makedirs(d)
    with open(d + "/f", "wb") as f:
        for _ in range(gib * 64):
            f.write(os.urandom(1 << 24))
    write(d + "/pipeline.yaml", 'version: 1\nstages:\n  s: {kind: exec, with: {command: [wc, -c, "{files}"], files: f, outputs: [x], stdout: x}}\n')
    time.sleep(2.1)
    theirs = best(["sha256sum", "f"], d)
    line(f"hash {gib} GiB", "sha256sum", theirs)

    def cold():
        shutil.rmtree(d + "/.hearsight", ignore_errors=True)
        return measure(command["ours"], d)

    ours = min(cold() for _ in range(3))
    line(f"hash {gib} GiB", "ours", ours, f"{ours[0]/theirs[0]:.2f} of sha256sum, asked for: 1.05")
    line(f"hash {gib} GiB, unchanged", "ours", best(command["ours"], d))
    shutil.rmtree(d)


def bare(work, n):
    d = work + "/bare"
    os.makedirs(d)
    stages("ours", "fan", n, d)
    ours = measure(command["ours"], d)
    loop = f"import subprocess\nfor i in range({n}): subprocess.run(['cp', f'in/{{i}}.txt', f'out/{{i}}.txt'], check=True)"
    alone = measure([sys.executable, "-S", "-c", loop], d)
    line(f"cold {n} beside a bare loop", "ours", ours, f"{1000*(ours[0]-alone[0])/n:.2f} ms a stage beyond it, asked for: 2")
    line(f"cold {n} beside a bare loop", "python", alone)
    shutil.rmtree(d)


p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--hearsight", default=REPO + "/bin/hearsight")
p.add_argument("--tools", nargs="+", default=["ours", *PEERS])
p.add_argument("--cases", nargs="+", default=["noop", "items", "big", "bare"])
p.add_argument("--sizes", nargs="+", type=int, default=[10, 100, 1000, 10000])
p.add_argument("--items", type=int, default=10000)
p.add_argument("--gib", type=int, default=2)
p.add_argument("--limit", type=int, default=150, help="seconds after which a run is stopped and left out")
a = p.parse_args()
LIMIT = a.limit
OURS = os.path.abspath(a.hearsight)
command = {"ours": [OURS, "run"], **PEERS}
tools = [t for t in a.tools if shutil.which(command[t][0])]
missing = [t for t in a.tools if t not in tools]
print(f"load {os.getloadavg()[0]:.1f}" + (f"; not installed: {' '.join(missing)}" if missing else ""))
print(f"{'case':34} {'tool':10} {'CPU s':>9} {'wall s':>9} {'MB':>7}")
with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as work:
    if "noop" in a.cases:
        noop(work, tools, a.sizes)
    if "items" in a.cases:
        items(work, tools, a.items)
    if "big" in a.cases:
        big(work, a.gib)
    if "bare" in a.cases:
        bare(work, 500)
