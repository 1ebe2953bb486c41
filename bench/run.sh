#!/usr/bin/env bash
# Runs the benchmarks of this module in rounds, everything once in each, and prints medians and ratios.
#
#   COUNT=10          rounds (default 15)
#   TIME=1s           time for each benchmark in a round (default 50ms)
#   BENCH=V3          only benchmarks that match
#   TAGS=libcrypto    build tags: with libcrypto there are further rows
set -euo pipefail
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

go test -c -tags "${TAGS:-}" -o "$dir/bench" .
go test -c -o "$dir/decode" ../wechatpay/apiv2 # the XML decoder is no one else's to call
go build -o "$dir/medians" ./medians
rounds=${COUNT:-15}
for ((i = 1; i <= rounds; i++)); do
	echo "round $i of $rounds" >&2
	"$dir/bench" -test.run '^$' -test.bench "${BENCH:-.}" -test.benchtime "${TIME:-50ms}" -test.cpu 1 -test.benchmem
	(cd ../wechatpay/apiv2 && "$dir/decode" -test.run '^$' -test.bench '^BenchmarkDecode$' -test.benchtime "${TIME:-50ms}" -test.cpu 1 -test.benchmem |
		sed 's,^BenchmarkDecode/own,BenchmarkV2Decode/fenhao,; s,^BenchmarkDecode/encoding,BenchmarkV2Decode/encoding_xml_RawToken,')
done >"$dir/out"
"$dir/medians" <"$dir/out"
