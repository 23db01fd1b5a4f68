"""Files of the larger sets that Pillow shows and ours refuses, by a part of the message."""

REFUSED: dict[str, tuple[str, ...]] = {
    "malformed JPEG: a coefficient lies outside its block": (
        "fuzz-zune/jpeg/e244efbc60912cdd.jpg",
        "pillow/hopper_bad_exif.jpg",
    ),
    "malformed JPEG: fill bytes inside the picture data": (
        "fuzz-zune/jpeg/1e6f2e61799521af.jpg",
        "fuzz-zune/jpeg/c8206757c64b82ab.jpg",
        "fuzz-zune/jpeg/cefc485c86dc124a.jpg",
        "fuzz-zune/jpeg/f890ed73fe4e4c9f.jpg",
    ),
    "malformed JPEG: invalid Huffman code": ("fuzz-zune/jpeg/205e7ddccc062726.jpg",),
    "malformed JPEG: the scan breaks off": ("fuzz-zune/jpeg/793e4dc67dc74ae5.jpg",),
    "malformed JPEG: the scans of a progressive file do not follow on each other": (
        "fuzz-zune/jpeg/dbb59e7cb4b24020.jpg",
    ),
    "bytes, too few for it": (
        "fuzz-zune/jpeg/507f4478f622b01d.jpg",
        "fuzz-zune/jpeg/bbaa1bccdbdbc5e6.jpg",
        "fuzz-zune/jpeg/f84ebbc1da60caea.jpg",
    ),
    "malformed PNG: wrong checksum of chunk `IDAT`": (
        "fuzz-zune/png/4507f0c51165b2a7.png",
        "fuzz-zune/png/6cdb1d589fe79666.png",
        "fuzz-zune/png/8e61d341893f3adb.png",
        "fuzz-zune/png/94951d4d8c6dfb4c.png",
        "fuzz-zune/png/a1c0aecc45985f53.png",
        "fuzz-zune/png/b932892ec3ce1248.png",
        "fuzz-zune/png/c9561e8c1e4a5c09.png",
        "fuzz-zune/png/d7eb6e80c0671308.png",
        "fuzz-zune/png/e2ba7c84ccd4eabe.png",
        "fuzz-zune/png/e4cca551a27dbb3f.png",
        "fuzz-zune/png/f81d54bb48db920d.png",
        "pillow/broken_data_stream.png",
    ),
    "truncated JPEG: scans of the progressive file are missing": (
        "derived/jpeg/prog_dc_only.jpg",
        "derived/jpeg/prog_incomplete_scans.jpg",
        "fuzz-zune/jpeg/43fb21e84a9c3ba5.jpg",
    ),
    "truncated PNG: the file ends inside a chunk": ("pillow/truncated_end_chunk.png",),
    "unsupported image: arithmetic-coded JPEG": (
        "derived/jpeg/arith_prog.jpg",
        "derived/jpeg/arith_restart_gray.jpg",
        "derived/jpeg/ycck_arith.jpg",
        "libjpeg-turbo/testimgari.jpg",
    ),
}
