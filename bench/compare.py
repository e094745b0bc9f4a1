#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare two files of deq-bench records; exit 1 if something became slower than allowed."""
import argparse
import json
import sys


def records(path):
    """The last record of each measurement in a file of JSON lines."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                r = json.loads(line)
                found[(r["case"], r["name"], r["shape"], r["threads"])] = r["median_s"]
            except (ValueError, KeyError) as error:
                sys.exit(f"{path}:{number}: not a deq-bench record: {error}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--allow", type=float, default=1.05, metavar="RATIO",
                        help="largest ratio after/before (default %(default)s)")
    arguments = parser.parse_args()
    before, after = records(arguments.before), records(arguments.after)
    slower = 0
    for key in sorted(before.keys() & after.keys()):
        ratio = after[key] / before[key]
        mark = "slower" if ratio > arguments.allow else ""
        slower += bool(mark)
        print(f"{' '.join(map(str, key)):60} {before[key] * 1e3:10.4f} ms {after[key] * 1e3:10.4f} ms"
              f" {ratio:6.3f} {mark}")
    for key in sorted(before.keys() ^ after.keys()):
        print(f"{' '.join(map(str, key)):60} only in {'before' if key in before else 'after'}")
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
