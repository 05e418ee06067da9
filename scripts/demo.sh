#!/bin/sh
# Runs the demo in a store of its own and says where the report lies.
set -eu
cd "$(dirname "$0")/.."
bin/hearsight run -f demo.yaml --store demo/store
bin/hearsight report -f demo.yaml --store demo/store -o demo/report.html
bin/hearsight metrics -f demo.yaml --store demo/store
cat <<'EOF'

The report: demo/report.html (open it in a browser)

Three things to try next:
  bin/hearsight run -f demo.yaml --store demo/store --set steps=4000    train twice as long: only training and scoring run again
  bin/hearsight inspect -f demo.yaml --store demo/store mfcc            look at an intermediate result
  bin/hearsight plan -f demo.yaml --store demo/store --set seed=2       what another seed would run, and why
EOF
