"""Measures other libraries on the GPU: f32 matrix products by cuBLAS (no TF32) and copies, through PyTorch. peers.py OUT.json"""
import json
import sys

import torch


def seconds(work, rounds=20):
    """The median time of a call, measured by the device's clock."""
    for _ in range(3):
        work()
    times = []
    for _ in range(rounds):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        stop.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(stop) / 1000)
    return sorted(times)[len(times) // 2]


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    results = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    for n in (512, 1024, 2048, 4096):
        a, b = (torch.randn(n, n, device="cuda") for _ in range(2))
        out = torch.empty(n, n, device="cuda")
        results[f"matmul_{n}_flops"] = 2 * n ** 3 / seconds(lambda: torch.matmul(a, b, out=out))
    n = 1 << 26
    x, y = torch.ones(n, device="cuda"), torch.empty(n, device="cuda")
    results["copy_bytes_per_second"] = 2 * 4 * n / seconds(lambda: y.copy_(x))
    with open(sys.argv[1], "w") as file:
        json.dump(results, file, indent=1)


main()
