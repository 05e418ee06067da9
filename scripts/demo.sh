#!/bin/sh
# Runs the demo and says where the report lies.
set -eu
cd "$(dirname "$0")/.."
bin/hearsight run -f demo.yaml
bin/hearsight report -f demo.yaml -o report.html
bin/hearsight metrics -f demo.yaml
cat <<'EOF'

The report: report.html (open it in a browser)

Three things to try next:
  bin/hearsight run -f demo.yaml --set steps=7200      train twice as long: only training and scoring run again
  bin/hearsight inspect -f demo.yaml mfcc              look at an intermediate result
  bin/hearsight plan -f demo.yaml --set seed=2         what another seed would run, and why
EOF
