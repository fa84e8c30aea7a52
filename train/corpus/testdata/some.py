# Writes some.parquet with pyarrow.
import sys
import pyarrow as pa
import pyarrow.parquet as pq
n = 300
t = pa.table({
    "id": pa.array(range(n), pa.int64()),
    "text": pa.array([None if i == 7 else "" if i == 8 else f"Row {i}: é, \"quoted\"\n" + "x" * (i % 5) for i in range(n)]),
    "source": pa.array([f"s{i % 3}" for i in range(n)]),
    "tags": pa.array([["a"] * (i % 3) for i in range(n)]),
})
pq.write_table(t, sys.argv[1], row_group_size=100, compression=sys.argv[2], use_dictionary=["source"], data_page_size=512, data_page_version=sys.argv[3], write_page_checksum=False)
