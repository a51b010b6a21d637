"""Copies the first images of Fashion-MNIST into files of the same format: some_images.py FROM TO."""
import gzip
import pathlib
import struct
import sys

COUNTS = {"train": 4000, "t10k": 1000}


def shorten(source, target, count, header_words, item_bytes):
    data = gzip.decompress(source.read_bytes())
    header = list(struct.unpack(f">{header_words}I", data[:4 * header_words]))
    header[1] = count
    body = data[4 * header_words:][:count * item_bytes]
    target.write_bytes(gzip.compress(struct.pack(f">{header_words}I", *header) + body, mtime=0))


def main():
    source, target = map(pathlib.Path, sys.argv[1:3])
    target.mkdir(parents=True, exist_ok=True)
    for split, count in COUNTS.items():
        images, labels = f"{split}-images-idx3-ubyte.gz", f"{split}-labels-idx1-ubyte.gz"
        shorten(source / images, target / images, count, 4, 28 * 28)
        shorten(source / labels, target / labels, count, 2, 1)


main()
