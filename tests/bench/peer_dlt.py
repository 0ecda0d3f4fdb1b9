"""The same file through dlt, the peer, on its Arrow path: read by pyarrow, written by COPY.

Run in an environment of its own (`requirements/bench.in`), because what dlt pins is none of the product's business:

    python peer_dlt.py FILE POSTGRES_URL

It checks nothing, replaces no number and keeps no ledger; it prints the seconds that it took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import dlt
import pyarrow as pa
import pyarrow.csv
import pyarrow.json


def main(path: Path, url: str, folder: str) -> None:
    """Load one file and print how long that took."""
    started = time.perf_counter()
    pipeline = dlt.pipeline(
        "peer",
        destination=dlt.destinations.postgres(url),
        dataset_name=f"dlt_{path.stem.partition('_bench')[0]}",
        pipelines_dir=folder,
    )
    options = pyarrow.json.ReadOptions(block_size=16 << 20)
    table = pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pyarrow.json.read_json(path, options)
    for place, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):  # its CSV cannot hold them, and Postgres wants them as JSON anyway
            texts = [json.dumps(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts))
    pipeline.run(
        table, table_name=path.stem, write_disposition="append", loader_file_format="csv"
    ).raise_on_failed_jobs()
    print(f"{table.num_rows} {time.perf_counter() - started:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
