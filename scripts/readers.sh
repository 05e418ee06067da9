#!/bin/sh
# Current pyarrow and DuckDB must open every artifact of the demo, TensorBoard the
# events of its training.
set -eu
cd "$(dirname "$0")/.."
venv=.tools/readers
if [ ! -x $venv/bin/python ]; then
	python3 -m venv $venv || { echo "readers: python3-venv is missing. Run: apt-get install -y python3-venv" >&2; exit 1; }
fi
$venv/bin/pip install -q --disable-pip-version-check -r scripts/readers.txt
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
bin/hearsight run -f demo.yaml --store "$store/store" --set train=100 --set steps=20
for stage in pairs speech wav mfcc photos model scores report; do
	bin/hearsight get -f demo.yaml --store "$store/store" --set train=100 --set steps=20 $stage "$store/out/$stage"
done
more="-f scripts/readers.yaml --store $store/more --set table=$store/given/table.csv --set root=$store/given"
mkdir "$store/given"
printf 'image,caption\nphoto.png,a shape\nbad.jpg,not a photo\n' > "$store/given/table.csv"
echo "not a photo" > "$store/given/bad.jpg"
photo=$(ls "$store/out/pairs"/*.parquet | grep photos | head -1)
$venv/bin/python -c "import sys, pyarrow.parquet as p; sys.stdout.buffer.write(p.read_table(sys.argv[1])['bytes'][0].as_py())" "$photo" > "$store/given/photo.png"
bin/hearsight run $more
for stage in features given; do
	bin/hearsight get $more $stage "$store/out/$stage"
done
$venv/bin/python scripts/readers.py "$store/out" "$store/store/runs"
