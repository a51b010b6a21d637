"""Prints the ids of the available GPUs, one per line, from `lockstep devices --json`."""
import json
import sys

for device in json.load(sys.stdin):
    if device["available"] and device["type"] != "cpu":
        print(device["id"])
