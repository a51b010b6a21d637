"""Writes the report of tools/gpu_check: report.py FOLDER DEVICE... Writes FOLDER/report.md; exits with 1 if a check failed."""
import json
import pathlib
import sys


def read(path):
    """The JSON object in a file; empty if a step failed before it wrote one."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def conformance_row(device, what, result):
    if not result:
        return f"| {device} | {what} | no result | | | | | |", False
    ok = result["failed"] + result["crashed"] + result["timed_out"] + result["mistrusted"] + result["required_missing"] == 0
    return (f"| {device} | {what} | {'passes' if ok else '**does not pass**'} {result['profile']} | {result['cases']} | {result['passed']} | "
            f"{result['failed'] + result['crashed'] + result['timed_out']} | {result['worst_ulp']:.3g} | {result['seconds']:.0f} |"), ok


def training_rows(folder, device):
    rows, ok = [], True
    for mode in ("lockstep", "strict"):
        cpu, own = (read(folder / f"train_{mode}_{name}.json") for name in ("cpu", device.replace(":", "_")))
        if not own:
            rows.append(f"| {device} | {mode} | no result | | | |")
            ok = False
            continue
        if not cpu:
            verdict, in_brackets = "**no CPU to compare with**", ("", "")
            ok = False
        else:
            same = cpu["weights_sha256"] == own["weights_sha256"]
            ok = ok and (same or mode == "strict")
            verdict = "equal" if same else "different" if mode == "strict" else "**different**"
            in_brackets = f" ({cpu['test_accuracy']:.4f})", f" ({cpu['images_per_second']:.0f})"
        rows.append(f"| {device} | {mode} | {own['test_accuracy']:.4f}{in_brackets[0]} | "
                    f"{own['images_per_second']:.0f}{in_brackets[1]} | {verdict} | {own['weights_sha256'][:16]}… |")
    return rows, ok


def bench_lines(folder, device):
    """The lines that `lockstep bench` printed for a device; none if it did not run."""
    try:
        lines = (folder / f"bench_{device.replace(':', '_')}.jsonl").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            b = json.loads(line)
        except ValueError:
            continue
        if b.get("device") == device:
            yield b


def bench_row(b):
    return f"| {b['device']} | {b['group']} | {b['workload']} | {b['mode']} | {b['median']:.4g} {b['unit']} |"


def peer_rows(lines, peers):
    """Speed relative to cuBLAS (f32 products in strict mode) and to copies on the same card (pointwise ops)."""
    for b in lines:
        size = b["workload"].removeprefix("f32 ")
        if b["mode"] != "strict":
            continue
        if b["group"] == "matmul" and f"matmul_{size}_flops" in peers:
            yield f"| {b['device']} | matmul {size} | {b['median'] * 1e9 / peers[f'matmul_{size}_flops']:.2f} of cuBLAS |"
        elif b["unit"] == "GB/s":
            yield f"| {b['device']} | {b['workload']} | {b['median'] * 1e9 / peers['copy_bytes_per_second']:.2f} of a copy |"


def main():
    folder, devices = pathlib.Path(sys.argv[1]), sys.argv[2:]
    conformance, training, bench, all_ok = [], [], [], True
    for device in devices:
        name, ok = device.replace(":", "_"), True
        runs = [("all ops and suites", name)]
        if device.startswith("vulkan:"):
            runs += [(f"{op} by kernels for large products", f"large_{op}_{name}") for op in ("matmul", "conv2d")]
        for what, file in runs:
            row, passes = conformance_row(device, what, read(folder / f"conformance_{file}.json"))
            conformance.append(row)
            ok = ok and passes
        rows, same = training_rows(folder, device)
        training += rows
        bench += bench_lines(folder, device)
        all_ok = all_ok and ok and same
    peers = read(folder / "peers.json")
    text = ["# GPU check", "", "```", (folder / "devices.txt").read_text().split("\n\n")[0], "```", "",
            "## Conformance", "", "| device | what | verdict | cases | passed | failed | worst ULP | seconds |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |", *conformance, "",
            "## Training", "", "200 steps of the CNN on 4,000 images, seed 7; the CPU's numbers in brackets.", "",
            "| device | mode | test accuracy | images/s | weights | SHA-256 |", "| --- | --- | --- | --- | --- | --- |", *training, "",
            "## Throughput", "", "| device | group | workload | mode | median |",
             "| --- | --- | --- | --- | --- |", *map(bench_row, bench), ""]
    if peers:
        text += ["| device | workload | ratio |", "| --- | --- | --- |",
                 *peer_rows(bench, peers), ""]
        text += [f"cuBLAS and copies by PyTorch {peers['torch']} on {peers['device']}:", "",
                 *(f"- {key}: {value:.4g}" for key, value in peers.items() if isinstance(value, float)), ""]
    (folder / "report.md").write_text("\n".join(text))
    print("\n".join(conformance + training))
    sys.exit(0 if all_ok else 1)


main()
