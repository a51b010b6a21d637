"""Opens Lockstep in a Python process: alone, and after NumPy and PyTorch where they are installed.

beside_python.py liblockstep.so plugin.so
"""
import ctypes
import importlib.util
import subprocess
import sys

LOAD = """
import ctypes, importlib, sys
for name in sys.argv[3:]:
    importlib.import_module(name)
ctypes.CDLL(sys.argv[1])
plugin = ctypes.CDLL(sys.argv[2])
sums = (ctypes.c_float * 3)()
assert plugin.loading_add(sums) == 0
assert list(sums) == [11, 22, 33], list(sums)
"""

installed = [name for name in ("numpy", "torch") if importlib.util.find_spec(name)]
failed = False
for before in [[]] + [[name] for name in installed] + ([installed] if len(installed) > 1 else []):
    result = subprocess.run([sys.executable, "-c", LOAD, *sys.argv[1:3], *before])
    print("after", " and ".join(before) or "nothing", "fails" if result.returncode else "loads")
    failed |= result.returncode != 0
sys.exit(failed)
